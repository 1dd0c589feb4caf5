using System.Runtime;
using System.Runtime.CompilerServices;

namespace Kmem.Native;

/// <summary>What the environment asks to be done when the program starts and when it ends. A program that ends without its exit handlers skips the latter.</summary>
internal static unsafe class ProcessLife
{
    private const int DuplicateCloseOnExec = 1030;
    private const int WriteCreateAppendCloseOnExec = 0x1 | 0x40 | 0x400 | 0x80000;
    private const int OwnerWritesAllRead = 0x1A4;

    /// <summary>Beyond what programs count on to be free.</summary>
    private const int FirstOwnDescriptor = 200;

    /// <summary><c>sizeof(struct stat)</c> in words, and where in it a file's device and number are.</summary>
    private const int FileStatusWords = 18;

    private const int WordOfDevice = 0;
    private const int WordOfNumber = 1;

    /// <summary>Where the statistics go at the end; −1 for nowhere.</summary>
    private static int s_statistics = -1;

    /// <summary>What the descriptor led to at the start: a program that closes all may have given its number to a file of its own.</summary>
    private static FileIdentity s_identity;

    [RuntimeExport("face_program_starts")]
    private static void Starts()
    {
        if (Options.TracePath() != null)
        {
            // A program that never allocates leaves a trace, too.
            _ = ProcessHeap.Get();
        }

        byte* where = Options.StatisticsPath(out bool isStandardError);
        if (isStandardError)
        {
            // Many programs close it on their way out.
            s_statistics = fcntl(Libc.StandardError, DuplicateCloseOnExec, FirstOwnDescriptor);
            if (s_statistics < 0)
            {
                // The program may have fewer of them.
                s_statistics = fcntl(Libc.StandardError, DuplicateCloseOnExec, Libc.StandardError + 1);
            }
        }
        else if (where != null)
        {
            s_statistics = open(where, WriteCreateAppendCloseOnExec, OwnerWritesAllRead);
            if (s_statistics < 0)
            {
                TextLine line = default;
                line.Add("kmem: KMEM_STATS: cannot write to ");
                line.Add(where);
                line.WriteTo(Libc.StandardError);
            }
        }

        s_identity = Identify(s_statistics);
    }

    [RuntimeExport("face_program_ends")]
    private static void Ends()
    {
        TraceRecorder.ProgramEnds();
        FileIdentity identity = Identify(s_statistics);
        if (s_statistics >= 0 && identity.Number != 0 && identity.Number == s_identity.Number && identity.Device == s_identity.Device)
        {
            TextLine line = default;
            line.Add("kmem: process ");
            line.Add((ulong)getpid());
            line.Add(" (");
            line.Add(*entry_program_name());
            line.Add(") at its end");
            line.WriteTo(s_statistics);
            Statistics.WriteSummary(s_statistics);
            Statistics.WriteSlabInfo(s_statistics);
        }
    }

    /// <summary>All zero for a descriptor that is not open.</summary>
    private static FileIdentity Identify(int descriptor)
    {
        ulong* status = stackalloc ulong[FileStatusWords];
        return fstat(descriptor, status) != 0 ? default : new FileIdentity { Device = status[WordOfDevice], Number = status[WordOfNumber] };
    }

    private struct FileIdentity
    {
        public ulong Device;
        public ulong Number;
    }

#pragma warning disable IDE1006, SYSLIB1054 // The names are libc's and those in entry.c.
    [RuntimeImport("*", "fcntl")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern int fcntl(int descriptor, int command, long argument);

    [RuntimeImport("*", "open")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern int open(byte* path, int flags, int mode);

    [RuntimeImport("*", "fstat")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern int fstat(int descriptor, ulong* status);

    [RuntimeImport("*", "getpid")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern int getpid();

    [RuntimeImport("*", "entry_program_name")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern byte** entry_program_name();
#pragma warning restore IDE1006, SYSLIB1054
}
