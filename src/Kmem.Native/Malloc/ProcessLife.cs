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

    /// <summary>Where the statistics go at the end; −1 for nowhere.</summary>
    private static int s_statistics = -1;

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
    }

    [RuntimeExport("face_program_ends")]
    private static void Ends()
    {
        TraceRecorder.ProgramEnds();
        if (s_statistics >= 0)
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

#pragma warning disable IDE1006, SYSLIB1054 // The names are libc's and those in entry.c.
    [RuntimeImport("*", "fcntl")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern int fcntl(int descriptor, int command, long argument);

    [RuntimeImport("*", "open")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern int open(byte* path, int flags, int mode);

    [RuntimeImport("*", "getpid")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern int getpid();

    [RuntimeImport("*", "entry_program_name")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    private static extern byte** entry_program_name();
#pragma warning restore IDE1006, SYSLIB1054
}
