using System.Runtime.CompilerServices;
using Kmem.Engine.Primitives;

namespace Kmem.Native;

// Theory of the file.
//
//      header (4 KiB)  |  chunk 0 (64 KiB)  |  chunk 1  |  …
//
// Header and chunks are shared mappings of the file. What is stored in one is in the kernel's hands at once, and stays in the file however
// the process ends; there is nothing to flush. Disk space is taken before a chunk is mapped (fallocate), since a store to a page that the
// disk has no room for would end the program.
//
// No descriptor is kept: many programs close all that they did not open. The file is opened by its name for a new chunk, and not used
// if the name has come to mean another file.

/// <summary>The file of a trace: its header, and room for chunks. All calls are made with the lock of <see cref="TraceControl"/>.</summary>
internal static unsafe class TraceFile
{
    private const int CommandBytesMax = TraceFormat.HeaderBytes - TraceFormat.OffsetCommand;

    /// <summary>Makes the file and its header; false with <c>errno</c>.</summary>
    public static bool Create(TraceControl* control, TracePath* path, bool isFork)
    {
        int file = TracePath.Create(path, isFork);
        if (file < 0)
        {
            return false;
        }

        byte* header = TryIdentify(file, &control->Device, &control->Inode) && TryReserve(file, 0, TraceFormat.HeaderBytes)
            ? Map(file, 0, TraceFormat.HeaderBytes)
            : null;
        if (header != null)
        {
            WriteHeader(control, header, isFork);
            control->Header = header;
        }

        int errno = Libc.Errno;
        _ = TraceLibc.close(file);
        Libc.Errno = errno;
        return header != null;
    }

    /// <summary>The next chunk, mapped; null with <c>errno</c>, which is 0 where the name means another file.</summary>
    public static byte* AddChunk(TraceControl* control, TracePath* path)
    {
        int file = TraceLibc.open(path->Name, TraceLibc.ReadWrite | TraceLibc.CloseOnExec, 0);
        if (file < 0)
        {
            return null;
        }

        byte* chunk = null;
        ulong device;
        ulong inode;
        long offset = TraceFormat.HeaderBytes + ((long)control->ChunkCount * TraceFormat.ChunkBytes);
        if (!TryIdentify(file, &device, &inode) || device != control->Device || inode != control->Inode)
        {
            Libc.Errno = 0;
        }
        else if (TryReserve(file, offset, TraceFormat.ChunkBytes))
        {
            chunk = Map(file, offset, TraceFormat.ChunkBytes);
        }

        int errno = Libc.Errno;
        _ = TraceLibc.close(file);
        Libc.Errno = errno;
        if (chunk != null)
        {
            ((uint*)chunk)[1] = control->ChunkCount++;
            Atomic.Store((uint*)chunk, TraceFormat.ChunkMagic);
        }

        return chunk;
    }

    private static void WriteHeader(TraceControl* control, byte* header, bool isFork)
    {
        control->StartNanoseconds = TraceControl.Now(TraceLibc.ClockMonotonic);
        *(uint*)(header + TraceFormat.OffsetVersion) = TraceFormat.Version;
        *(uint*)(header + TraceFormat.OffsetHeaderBytes) = TraceFormat.HeaderBytes;
        *(uint*)(header + TraceFormat.OffsetChunkBytes) = TraceFormat.ChunkBytes;
        *(uint*)(header + TraceFormat.OffsetPageBytes) = (uint)Address.PageSizeBytes;
        *(uint*)(header + TraceFormat.OffsetProcess) = (uint)TraceLibc.getpid();
        *(uint*)(header + TraceFormat.OffsetParent) = (uint)TraceLibc.getppid();
        *(ulong*)(header + TraceFormat.OffsetWallClock) = TraceControl.Now(TraceLibc.ClockRealtime);
        *(uint*)(header + TraceFormat.OffsetFlags) = isFork ? TraceFormat.FlagFork : 0;
        *(uint*)(header + TraceFormat.OffsetCommandBytes) = ReadCommand(header + TraceFormat.OffsetCommand);
        Atomic.Store((ulong*)header, TraceFormat.Magic);
    }

    /// <summary>The arguments as the kernel has them, each with a zero behind it. What does not fit is cut off.</summary>
    private static uint ReadCommand(byte* to)
    {
        int file;
        fixed (byte* name = "/proc/self/cmdline"u8)
        {
            file = TraceLibc.open(name, TraceLibc.CloseOnExec, 0);
        }

        if (file < 0)
        {
            return 0;
        }

        uint length = 0;
        while (length < CommandBytesMax)
        {
            nint read = TraceLibc.read(file, to + length, CommandBytesMax - length);
            if (read <= 0)
            {
                break;
            }

            length += (uint)read;
        }

        _ = TraceLibc.close(file);
        return length;
    }

    private static byte* Map(int file, long offset, nuint bytes)
    {
        byte* mapping = (byte*)Libc.mmap(null, bytes, TraceLibc.ProtectionReadWrite, TraceLibc.MapShared | TraceLibc.MapPopulate, file, offset);
        if (mapping == (byte*)-1)
        {
            return null;
        }

        _ = TraceLibc.madvise(mapping, bytes, TraceLibc.AdviseNotInFork);
        return mapping;
    }

    /// <summary>Takes disk space, which reads as zero. Where the file system cannot, zeros are written.</summary>
    private static bool TryReserve(int file, long offset, long bytes)
    {
        // Beyond the limit of the shell (ulimit -f) the kernel would send a signal.
        ulong* limits = stackalloc ulong[2];
        if (TraceLibc.getrlimit(TraceLibc.LimitFileSize, limits) == 0 && (ulong)(offset + bytes) > limits[0])
        {
            Libc.Errno = TraceLibc.ErrorTooLarge;
            return false;
        }

        if (TraceLibc.fallocate(file, 0, offset, bytes) == 0)
        {
            return true;
        }

        return Libc.Errno is TraceLibc.ErrorNotSupported or TraceLibc.ErrorNoSystemCall && TryWriteZeros(file, offset, bytes);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static bool TryWriteZeros(int file, long offset, long bytes)
    {
        byte* zeros = stackalloc byte[512];
        _ = Libc.memset(zeros, 0, 512);
        for (long end = offset + bytes; offset < end; offset += 512)
        {
            if (TraceLibc.pwrite(file, zeros, 512, offset) != 512)
            {
                return false;
            }
        }

        return true;
    }

    private static bool TryIdentify(int file, ulong* device, ulong* inode)
    {
        ulong* status = stackalloc ulong[TraceLibc.FileStatusBytes / 8];
        if (Libc.syscall(TraceLibc.SyscallFileStatus, file, (long)status, 0, 0) != 0)
        {
            return false;
        }

        *device = status[0];
        *inode = status[1];
        return true;
    }
}
