using System.Runtime.CompilerServices;
using Kmem.Engine.Primitives;

namespace Kmem.Native;

/// <summary>What is seldom: the start, a new chunk, a thread's end, and the end of the recording before its time.</summary>
internal static unsafe partial class TraceRecorder
{
    private const uint MicrosecondNanoseconds = 1000;

    /// <summary>Less than it is not worth another thread's while.</summary>
    private const int RestBytesMin = 2048;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryStart(byte* path)
    {
        const int ControlBytes = 4096;
        byte* pages = (byte*)Libc.mmap(
            null, ControlBytes + (nuint)sizeof(TracePath), TraceLibc.ProtectionReadWrite, TraceLibc.MapPrivateAnonymous, -1, 0);
        if (pages == (byte*)-1)
        {
            Complain("cannot record", path, Libc.Errno);
            return false;
        }

        _ = TraceLibc.madvise(pages, ControlBytes, TraceLibc.AdviseZeroInFork);
        s_path = (TracePath*)(pages + ControlBytes);
        if (!TracePath.Set(s_path, path))
        {
            Complain("cannot record", path, TraceLibc.ErrorNameTooLong);
            return false;
        }

        TraceControl* control = (TraceControl*)pages;
        if (!TraceFile.Create(control, s_path, isFork: false))
        {
            Complain("cannot record", s_path->Name, Libc.Errno);
            return false;
        }

        s_run = 1;
        control->IsOn = 1;
        s_control = control;
        return true;
    }

    /// <summary>A thread's first event, a chunk that is full, a fork: a chunk of its own, and the record that says whose it is.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void PlaceSlow(TraceThread* thread, ulong sequence)
    {
        int errno = Libc.Errno;
        TraceControl.Enter(s_control);
        if (thread->Run != s_run)
        {
            *thread = new TraceThread { Run = s_run, IsBusy = 1, HasEnded = thread->HasEnded, Number = ++s_control->ThreadCount };
        }

        byte* full = thread->Position != null ? thread->Chunk : null;
        if (full != null)
        {
            Atomic.Store(thread->Position, TraceFormat.ChunkEnd);
            thread->Position = null;
            thread->Limit = null;
        }

        byte* chunk = null;
        byte* position = null;
        if (s_control->IsOn != 0 && (s_control->Header != null || TraceFile.Create(s_control, s_path, s_isFork))
            && !TraceControl.TryTake(s_control, out chunk, out position))
        {
            chunk = TraceFile.AddChunk(s_control, s_path);
            position = chunk + TraceFormat.ChunkHeaderBytes;
        }

        if (chunk == null && s_control->IsOn != 0)
        {
            StopLocked(Libc.Errno);
        }

        TraceControl.Exit(s_control);
        if (full != null)
        {
            _ = Libc.munmap(full, TraceFormat.ChunkBytes);
        }

        if (chunk != null)
        {
            thread->Chunk = chunk;
            thread->Limit = chunk + TraceFormat.ChunkBytes - TraceFormat.RecordBytesMax;
            thread->LastSequence = sequence - 1;
            thread->LastAddress = 0;
            byte* at = WriteNumber(position + 1, thread->Number);
            at = WriteNumber(at, (ulong)Libc.syscall(TraceLibc.SyscallThreadId, 0, 0, 0, 0));
            at = WriteNumber(at, TraceControl.Elapsed(s_control) / MicrosecondNanoseconds);
            Publish(thread, position, TraceFormat.ThreadHere, WriteNumber(at, thread->LastSequence), thread->LastSequence);
        }

        Libc.Errno = errno;
    }

    /// <summary>The thread has ended: another one goes on in its chunk.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void PutChunkBack(TraceThread* thread)
    {
        int errno = Libc.Errno;
        byte* tag = thread->Position;
        Publish(thread, tag, TraceFormat.ThreadEnd, WriteNumber(tag + 1, TraceControl.Elapsed(s_control) / MicrosecondNanoseconds), thread->LastSequence);
        byte* chunk = thread->Chunk;
        byte* position = thread->Position;
        thread->Position = null;
        thread->Limit = null;
        bool isKept = false;
        if (chunk + TraceFormat.ChunkBytes - position >= RestBytesMin)
        {
            TraceControl.Enter(s_control);
            isKept = TraceControl.TryPut(s_control, chunk, position);
            TraceControl.Exit(s_control);
        }

        if (!isKept)
        {
            Atomic.Store(position, TraceFormat.ChunkEnd);
            _ = Libc.munmap(chunk, TraceFormat.ChunkBytes);
        }

        Libc.Errno = errno;
    }

    private static void StopLocked(int error)
    {
        s_hasStopped = true;
        Atomic.Store(&s_control->IsOn, 0);
        if (s_control->Header != null)
        {
            *(uint*)(s_control->Header + TraceFormat.OffsetFlags) |= TraceFormat.FlagStopped;
        }

        Complain("the recording stops", s_path->Name, error);
    }

    private static void Complain(string what, byte* path, int error)
    {
        TextLine line = default;
        line.Add("kmem: KMEM_TRACE: ");
        line.Add(what);
        line.Add(": ");
        line.Add(error switch
        {
            0 => "the name means another file now",
            2 => "no such file or folder",
            Libc.OutOfMemory => "out of memory",
            13 => "permission denied",
            TraceLibc.ErrorExists => "the file exists, and a hundred others of its name",
            TraceLibc.ErrorTooLarge => "larger than the shell allows (ulimit -f)",
            28 => "the disk is full",
            30 => "the file system is read-only",
            TraceLibc.ErrorNameTooLong => "the name is too long",
            _ => "error ",
        });
        if (error is not (0 or 2 or Libc.OutOfMemory or 13 or TraceLibc.ErrorExists or TraceLibc.ErrorTooLarge or 28 or 30 or TraceLibc.ErrorNameTooLong))
        {
            line.Add((ulong)error);
        }

        line.Add(": ");
        line.Add(path);
        line.WriteTo(Libc.StandardError);
    }
}
