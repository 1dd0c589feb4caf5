using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>
/// Freed objects of a twin that wait, the oldest first; linked through their tracks. The longer an object waits, the longer a
/// second free or a write to it is told from what its next owner does. All twins of a heap share a number of bytes: while more wait, the oldest of a twin are handed out
/// again, and when still more wait, they go to their slabs.
/// </summary>
internal unsafe partial struct Cache
{
    /// <summary>Bytes that wait in a heap, at most. A small part of a processor's cache: what waits longer is cold when it comes back.</summary>
    private const long WaitingBytesEnough = 1024 * 1024;

    private const long WaitingBytesMax = WaitingBytesEnough + (WaitingBytesEnough / 4);

    /// <summary>A twin tells the heap of what it has more or less in steps of so many bytes.</summary>
    private const long WaitingBytesStep = 8 * 1024;

    /// <summary>Objects that go to the slabs at a time.</summary>
    private const int ReleasedAtOnce = 32;

    /// <summary>A freed object joins the queue; when too much waits, the oldest of this cache go.</summary>
    private static void LetWait(Cache* twin, nuint address)
    {
        nuint* leaving = stackalloc nuint[ReleasedAtOnce];
        int count = 0;
        long stride = twin->Slabs.Layout.StrideBytes;
        ObjectTrack* track = CheckedObject.TrackOf(&twin->Checked, address);
        track->NextOrScope = 0;
        RankedLock.Enter(&twin->Depot.Lock, LockRank.Depot);
        CheckedObject.SetState(&twin->Checked, address, TrackState.Free);
        if (twin->QueueTail != 0)
        {
            CheckedObject.TrackOf(&twin->Checked, twin->QueueTail)->NextOrScope = address;
        }
        else
        {
            twin->QueueHead = address;
        }

        twin->QueueTail = address;
        Atomic.Store(&twin->QueueLength, twin->QueueLength + 1);
        twin->QueueFrees++;
        CountWaitingLocked(twin, stride);
        if (Atomic.Load(&twin->Registry->WaitingBytes) > WaitingBytesMax)
        {
            while (count < ReleasedAtOnce && twin->QueueLength > 1)
            {
                leaving[count++] = DequeueLocked(twin);
            }
        }

        RankedLock.Exit(&twin->Depot.Lock, LockRank.Depot);
        ReturnCheckedBulk(twin, leaving, count);
    }

    /// <summary>The object that waits longest, if enough wait; else 0.</summary>
    private static nuint TakeOldest(Cache* twin)
    {
        if (Atomic.Load(&twin->Registry->WaitingBytes) < WaitingBytesEnough || Atomic.Load(&twin->QueueLength) < 2)
        {
            return 0;
        }

        RankedLock.Enter(&twin->Depot.Lock, LockRank.Depot);
        nuint address = 0;
        if (twin->QueueLength > 1)
        {
            address = DequeueLocked(twin);
            twin->QueueAllocs++;
        }

        RankedLock.Exit(&twin->Depot.Lock, LockRank.Depot);
        if (address != 0 && IsInSetAsideSlab(twin, address))
        {
            SetAside(twin, address);
            return 0;
        }

        return address;
    }

    private static void CountWaitingLocked(Cache* twin, long bytes)
    {
        twin->WaitingUntold += bytes;
        if (twin->WaitingUntold is >= WaitingBytesStep or <= -WaitingBytesStep)
        {
            _ = Atomic.Add(&twin->Registry->WaitingBytes, twin->WaitingUntold);
            twin->WaitingUntold = 0;
        }
    }

    /// <summary>All that waits goes to its slabs, after a look at it.</summary>
    public static void EmptyQueue(Cache* twin)
    {
        for (long left = Atomic.Load(&twin->QueueLength); left > 0; left--)
        {
            RankedLock.Enter(&twin->Depot.Lock, LockRank.Depot);
            nuint address = twin->QueueHead == 0 ? 0 : DequeueLocked(twin);
            RankedLock.Exit(&twin->Depot.Lock, LockRank.Depot);
            Damage damage = default;
            if (address == 0)
            {
                return;
            }

            if (CheckedObject.IsFreeObjectWhole(&twin->Checked, address, &damage))
            {
                ReturnChecked(twin, address);
            }
            else if (Repairs(twin, &damage))
            {
                CheckedObject.MakeFree(&twin->Checked, address);
                ReturnChecked(twin, address);
            }
        }
    }

    private static nuint DequeueLocked(Cache* twin)
    {
        Invariant.Holds(RankedLock.IsHeld(&twin->Depot.Lock));
        nuint address = twin->QueueHead;
        long length = twin->QueueLength;
        nuint next = NextInQueueLocked(twin, address, &length);
        CountWaitingLocked(twin, -(long)twin->Slabs.Layout.StrideBytes);
        twin->QueueHead = next;
        twin->QueueTail = next == 0 ? 0 : twin->QueueTail;
        Atomic.Store(&twin->QueueLength, length - 1);
        return address;
    }

    /// <summary>
    /// What waits behind an object; 0 for the last one. A link that was written over leads nowhere: the object becomes the last, the rest of the queue stays out of its slabs for
    /// good, and the object's track, which then makes no sense, tells whoever looks at it next.
    /// </summary>
    /// <param name="twin">The cache.</param>
    /// <param name="address">An object of the queue.</param>
    /// <param name="left">Objects from this one to the end, this one counted.</param>
    private static nuint NextInQueueLocked(Cache* twin, nuint address, long* left)
    {
        ObjectTrack* track = CheckedObject.TrackOf(&twin->Checked, address);
        if (*left == 1)
        {
            return 0;
        }

        if (IsObjectOf(twin, track->NextOrScope))
        {
            return track->NextOrScope;
        }

        long lost = *left - 1;
        _ = Atomic.Add(&twin->DamagedObjects, lost);
        CountWaitingLocked(twin, -lost * twin->Slabs.Layout.StrideBytes);
        Atomic.Store(&twin->QueueLength, twin->QueueLength - lost);
        twin->QueueTail = address;
        *left = 1;
        track->NextOrScope = 0;
        Atomic.Store(&track->State, 0);
        return 0;
    }

    private static bool IsObjectOf(Cache* twin, nuint address)
    {
        Page* page = Zone.PageOf(twin->Registry->Zone, (void*)address);
        return page != null && page->CacheIndex == twin->Index && Slab.IsObject(page, address);
    }
}
