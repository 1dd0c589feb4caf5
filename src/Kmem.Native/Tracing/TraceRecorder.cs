using Kmem.Engine.Primitives;

namespace Kmem.Native;

// Theory of recording.
//
// A thread writes its events into a chunk of the file that is its own for the time: TraceFile. A record is a tag, which is not 0, and
// numbers of variable length behind it. The tag is stored last, and what follows the last record is zero: whenever the process
// ends, the file holds whole records and at most the numbers of one that never came to be.
//
// Every event has a number of one counter that all threads share. An allocation takes it after memory was handed out, a free before
// memory goes back, and a realloc takes one for each of its halves. So where the same address is allocated, freed and allocated
// again, by whatever threads, the numbers rise in that order, and a reader that sorts by number never sees an address that is taken handed out
// again.
//
//      thread A   malloc → p, number 7        free: number 9, p given back
//      thread B                                                             malloc → p, number 10
//
// errno is never changed. Nothing is allocated. What cannot go on (the disk is full) stops the recording, not the program.

/// <summary>Records what a program asks <c>malloc</c> for: <c>docs/TRACES.md</c> has the format.</summary>
internal static unsafe partial class TraceRecorder
{
    private static TraceControl* s_control;
    private static TracePath* s_path;

    /// <summary>Number of the file: 0 before the first, one more in each generation of forked processes.</summary>
    private static uint s_run;

    private static bool s_isFork;
    private static bool s_hasStopped;

    /// <summary>Whether events are wanted. False in a forked process until <see cref="AfterForkInChild"/>.</summary>
    public static bool IsOn => s_control != null && Atomic.Load(&s_control->IsOn) != 0;

    /// <summary>Starts the recording into a new file: <see cref="TracePath"/>. Called once, while the process has one thread. Where it fails, a line on standard error says why.</summary>
    public static bool Start(byte* path)
    {
        if (s_control != null || path == null || *path == 0)
        {
            return false;
        }

        int errno = Libc.Errno;
        bool isOn = TryStart(path);
        Libc.Errno = errno;
        return isOn;
    }

    // ------------------------------------------------------------------ events

    /// <summary>After an allocation: <paramref name="memory"/> is null where it failed. An alignment of 0 is whatever <c>malloc</c> gives.</summary>
    public static void Allocated(TraceThread* thread, void* memory, nuint sizeBytes, nuint alignmentBytes, bool zeroed)
    {
        byte kind = alignmentBytes != 0 ? TraceFormat.AllocatedAligned : zeroed ? TraceFormat.AllocatedZeroed : TraceFormat.Allocated;
        byte alignment = (byte)(Bits.Log2(alignmentBytes | 1) | (zeroed ? TraceFormat.ZeroedBit : 0));
        if (!TryBegin(thread))
        {
            return;
        }

        ulong sequence = TraceControl.NextSequence(s_control);
        byte* tag = Place(thread, sequence);
        if (tag != null)
        {
            byte* at = WriteDistance(tag, thread, sequence, memory != null ? kind : TraceFormat.Failed, out byte first);
            if (memory == null)
            {
                *at++ = kind;
            }

            if (kind == TraceFormat.AllocatedAligned)
            {
                *at++ = alignment;
            }

            at = memory != null ? WriteAddress(at, thread, memory) : at;
            Publish(thread, tag, first, WriteNumber(at, sizeBytes), sequence);
        }

        End(thread);
    }

    /// <summary>Before memory goes back. Null is no event.</summary>
    public static void Freeing(TraceThread* thread, void* memory)
    {
        if (memory == null || !TryBegin(thread))
        {
            return;
        }

        ulong sequence = TraceControl.NextSequence(s_control);
        byte* tag = Place(thread, sequence);
        if (tag != null)
        {
            byte* at = WriteDistance(tag, thread, sequence, TraceFormat.Freed, out byte first);
            Publish(thread, tag, first, WriteAddress(at, thread, memory), sequence);
        }

        End(thread);
    }

    /// <summary>
    /// Before a realloc of an allocation to a size that is not 0. <see cref="Reallocated"/> follows, whatever comes of it. What the realloc itself allocates and
    /// frees in between is no event.
    /// </summary>
    public static void Reallocating(TraceThread* thread)
    {
        if (TryBegin(thread))
        {
            thread->SequenceBefore = TraceControl.NextSequence(s_control);
            thread->IsBusy = 0;
        }
    }

    /// <summary>After it: <paramref name="memory"/> is null where it failed, and <paramref name="old"/> is then as it was.</summary>
    public static void Reallocated(TraceThread* thread, void* old, void* memory, nuint sizeBytes)
    {
        ulong before = thread->SequenceBefore;
        thread->SequenceBefore = 0;
        if (before == 0 || !TryBegin(thread))
        {
            return;
        }

        ulong after = TraceControl.NextSequence(s_control);
        byte* tag = Place(thread, before);
        if (tag != null)
        {
            byte* at = WriteDistance(tag, thread, before, memory != null ? TraceFormat.Reallocated : TraceFormat.Failed, out byte first);
            if (memory == null)
            {
                *at++ = TraceFormat.Reallocated;
            }

            at = WriteAddress(WriteNumber(at, after - before), thread, old);
            at = memory != null ? WriteAddress(at, thread, memory) : at;
            Publish(thread, tag, first, WriteNumber(at, sizeBytes), after);
        }

        End(thread);
    }

    /// <summary>The thread ends. It may still allocate and free: that is recorded too, less cheaply.</summary>
    public static void ThreadEnds(TraceThread* thread)
    {
        if (TryBegin(thread))
        {
            thread->HasEnded = 1;
            End(thread);
        }
    }

    // ------------------------------------------------------------------ the process

    /// <summary>Notes when the program came to its end. What other code still does after it is recorded.</summary>
    public static void ProgramEnds()
    {
        if (IsOn && s_control->Header != null)
        {
            Atomic.Store((ulong*)(s_control->Header + TraceFormat.OffsetEnd), TraceControl.Elapsed(s_control));
        }
    }

    /// <summary>
    /// In a child of a fork, with its only thread: it has a file of its own, which is made when it first allocates or frees. Many only call exec, and
    /// leave none.
    /// </summary>
    public static void AfterForkInChild(TraceThread* thread)
    {
        *thread = default;
        if (s_control == null || s_hasStopped)
        {
            return;
        }

        // Zero already, unless the kernel is older than the advice.
        *s_control = default;
        s_isFork = true;
        s_run++;
        Atomic.Store(&s_control->IsOn, 1);
    }
}
