using System.Threading;

namespace Kmem.Tool.Replay;

/// <summary>
/// Where each object of the trace is now: one word an object, written once, by the thread that allocates it, and read by the
/// thread that frees it.
/// <code>
/// 0  --Publish-->  address or Failed
/// </code>
/// <para><b>Waiting.</b> A thread that frees an object which another thread has not allocated yet waits for it. No waiting can be
/// circular: each thread does its steps in file order, and an object's allocation stands before its free in the file.
/// Of all threads that wait, the one whose step is earliest in the file waits for a step that is earlier still, and whose
/// thread therefore does not wait: it goes on. If a thread gives up, it says so (<see cref="Stop"/>), and every wait ends.</para>
/// </summary>
internal sealed class ReplayTable
{
    /// <summary>Stands for the address of an object that could not be allocated.</summary>
    public const nint Failed = 1;

    private readonly nint[] _addresses;

    // Empty where nothing is reallocated.
    private readonly bool[] _kept;
    private volatile bool _stopped;

    public ReplayTable(int objectCount, bool hasReallocs)
    {
        _addresses = new nint[objectCount];
        _kept = hasReallocs ? new bool[objectCount] : [];
    }

    /// <summary>Whether a thread has given up.</summary>
    public bool IsStopped => _stopped;

    /// <summary>Ends all waiting: a thread cannot go on.</summary>
    public void Stop() => _stopped = true;

    /// <summary>Publishes an object's address, or null for one that could not be allocated, with everything written to it before.</summary>
    public unsafe void Publish(int number, void* address)
    {
        Volatile.Write(ref _addresses[number], address == null ? Failed : (nint)address);
    }

    /// <summary>Notes that a realloc left the object where it was, before it is published.</summary>
    public void NoteKept(int number) => _kept[number] = true;

    /// <summary>Whether the object came from a realloc that left it where it was.</summary>
    public bool IsKept(int number) => _kept.Length > 0 && _kept[number];

    /// <summary>An object's address, waiting for it if need be: <see cref="Failed"/> where there is none, 0 where the replay was stopped.</summary>
    public nint Get(int number)
    {
        ref nint slot = ref _addresses[number];
        nint address = Volatile.Read(ref slot);
        return address != 0 ? address : GetSlow(ref slot);
    }

    /// <summary>Another thread is behind: spin a little, then give the processor away, which it may need.</summary>
    private nint GetSlow(ref nint slot)
    {
        SpinWait wait = default;
        while (true)
        {
            nint address = Volatile.Read(ref slot);
            if (address != 0 || _stopped)
            {
                return address;
            }

            // Never Sleep(1): the other thread is microseconds away.
            wait.SpinOnce(sleep1Threshold: -1);
        }
    }
}
