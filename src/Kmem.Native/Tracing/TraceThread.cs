namespace Kmem.Native;

/// <summary>
/// What the recorder keeps of a thread: 64 bytes of thread-local memory, zeroed at first. Only its thread touches it.
/// <code>
/// no chunk (Position null)  → has one → no chunk, when the thread ends: then each of its late events borrows one
/// </code>
/// </summary>
internal unsafe struct TraceThread
{
    /// <summary>Where the tag of the next record goes; null without a chunk.</summary>
    public byte* Position;

    /// <summary>A record that begins before it fits.</summary>
    public byte* Limit;

    /// <summary>Start of the chunk's mapping.</summary>
    public byte* Chunk;

    /// <summary>Of the thread's last event; the next number is told by its distance.</summary>
    public ulong LastSequence;

    /// <summary>Of the chunk's last event, rotated.</summary>
    public ulong LastAddress;

    /// <summary>Number taken before a realloc that is going on; 0 for none.</summary>
    public ulong SequenceBefore;

    /// <summary>In the trace, from 1.</summary>
    public uint Number;

    /// <summary>Which file all this belongs to: a forked process has another one. 0 in zeroed memory.</summary>
    public uint Run;

    /// <summary>1 while the recorder is at work for the thread: an event of a signal handler in between is lost, and counted.</summary>
    public int IsBusy;

    /// <summary>1 after the thread was said to end.</summary>
    public int HasEnded;
}
