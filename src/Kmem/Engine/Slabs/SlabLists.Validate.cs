using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Slabs;

/// <summary>What <see cref="SlabLists.Validate"/> found broken.</summary>
internal enum SlabListsFault
{
    None,
    ListLinkBroken,
    SlabOnWrongList,
    SlabBitsWrong,
    SlabOfAnotherCache,
    SlabPagesWrong,
    ListCountWrong,
    FreeObjectsWrong,
    SlabCountWrong,
    PartialMaskWrong,
}

internal unsafe partial struct SlabLists
{
    /// <summary>Calls <paramref name="visit"/>(context, object address, whether it is in its slab) for every object. Takes the lock; the visitor must not call back.</summary>
    public static void VisitObjects(SlabLists* lists, delegate*<void*, nuint, bool, void> visit, void* context)
    {
        RankedLock.Enter(&lists->Lock, LockRank.Slabs);
        for (int list = 0; list < ListCount; list++)
        {
            for (uint number = lists->_heads[list]; number != 0; number = At(lists, number)->Next)
            {
                Page* head = At(lists, number);
                nuint address = (nuint)Zone.AddressOf(lists->PageZone, head) + lists->Layout.LeadBytes;
                for (uint index = 0; index < lists->Layout.Objects; index++)
                {
                    visit(context, address + ((nuint)index * lists->Layout.StrideBytes), Slab.IsFree(head, &lists->Layout, index));
                }
            }
        }

        RankedLock.Exit(&lists->Lock, LockRank.Slabs);
    }

    /// <summary>The same for every object that is out of its slab, without saying so.</summary>
    public static void VisitObjectsOut(SlabLists* lists, delegate*<void*, nuint, void> visit, void* context)
    {
        OutVisit each = new() { Visit = visit, Context = context };
        VisitObjects(lists, &PassOut, &each);
    }

    private static void PassOut(void* context, nuint address, bool isInSlab)
    {
        if (!isInSlab)
        {
            ((OutVisit*)context)->Visit(((OutVisit*)context)->Context, address);
        }
    }

    private struct OutVisit
    {
        public delegate*<void*, nuint, void> Visit;
        public void* Context;
    }

    /// <summary>Whether an object of these slabs is in its slab. Takes the lock.</summary>
    public static bool IsInSlab(SlabLists* lists, void* address)
    {
        Page* page = Zone.PageOf(lists->PageZone, address);
        RankedLock.Enter(&lists->Lock, LockRank.Slabs);
        bool free = Slab.IsFree(Slab.HeadOf(page), &lists->Layout, Slab.IndexOf(page, (nuint)address));
        RankedLock.Exit(&lists->Lock, LockRank.Slabs);
        return free;
    }

    /// <summary>Whether bits, count and descriptors of an object's slab agree. What seems not to, because somebody takes or returns objects just then, is looked at under the lock.</summary>
    public static bool IsSlabOfValid(SlabLists* lists, void* address)
    {
        Page* head = Slab.HeadOf(Zone.PageOf(lists->PageZone, address));
        return IsValid(lists, head) || IsValidLocked(lists, head);
    }

    private static bool IsValidLocked(SlabLists* lists, Page* head)
    {
        RankedLock.Enter(&lists->Lock, LockRank.Slabs);
        bool valid = IsValid(lists, head);
        RankedLock.Exit(&lists->Lock, LockRank.Slabs);
        return valid;
    }

    private static bool IsValid(SlabLists* lists, Page* head) => Slab.DescribesAllPages(head, &lists->Layout) && Slab.IsValid(head, &lists->Layout);

    public static nuint StartOfSlab(SlabLists* lists, void* address) =>
        (nuint)Zone.AddressOf(lists->PageZone, Slab.HeadOf(Zone.PageOf(lists->PageZone, address)));

    /// <summary>Takes all free objects of an object's slab, so that no one is handed out; returns how many. Takes the lock.</summary>
    public static int TakeAllOf(SlabLists* lists, void* address)
    {
        RankedLock.Enter(&lists->Lock, LockRank.Slabs);
        Page* head = Slab.HeadOf(Zone.PageOf(lists->PageZone, address));
        int taken = Slab.TakeAll(head, &lists->Layout);
        lists->FreeObjects -= taken;
        Relist(lists, head);
        RankedLock.Exit(&lists->Lock, LockRank.Slabs);
        return taken;
    }

    /// <summary>All objects that are out come back, whoever has them. Takes the lock.</summary>
    public static void ReturnAllOut(SlabLists* lists)
    {
        RankedLock.Enter(&lists->Lock, LockRank.Slabs);
        for (byte list = 0; list < ListFree; list++)
        {
            while (lists->_heads[list] != 0)
            {
                Page* head = At(lists, lists->_heads[list]);
                for (uint index = 0; index < lists->Layout.Objects; index++)
                {
                    lists->FreeObjects += Slab.Return(head, &lists->Layout, index) ? 1 : 0;
                }

                Relist(lists, head);
            }
        }

        RankedLock.Exit(&lists->Lock, LockRank.Slabs);
    }

    /// <summary>Walks all lists and recounts.</summary>
    public static SlabListsFault Validate(SlabLists* lists)
    {
        RankedLock.Enter(&lists->Lock, LockRank.Slabs);
        SlabListsFault fault = ValidateLocked(lists);
        RankedLock.Exit(&lists->Lock, LockRank.Slabs);
        return fault;
    }

    private static SlabListsFault ValidateLocked(SlabLists* lists)
    {
        Invariant.Holds(RankedLock.IsHeld(&lists->Lock));
        long slabs = 0;
        long freeObjects = 0;
        for (byte list = 0; list < ListCount; list++)
        {
            long onList = 0;
            uint previous = 0;
            for (uint number = lists->_heads[list]; number != 0; number = At(lists, number)->Next)
            {
                Page* head = At(lists, number);
                if (head->Prev != previous || ++onList > lists->_counts[list])
                {
                    return SlabListsFault.ListLinkBroken;
                }

                if (head->SlabList != list || ListFor(lists, head) != list)
                {
                    return SlabListsFault.SlabOnWrongList;
                }

                if (head->CacheIndex != lists->Owner.CacheIndex)
                {
                    return SlabListsFault.SlabOfAnotherCache;
                }

                if (!Slab.DescribesAllPages(head, &lists->Layout))
                {
                    return SlabListsFault.SlabPagesWrong;
                }

                if (!Slab.IsValid(head, &lists->Layout))
                {
                    return SlabListsFault.SlabBitsWrong;
                }

                freeObjects += head->FreeObjects;
                previous = number;
            }

            if (onList != lists->_counts[list])
            {
                return SlabListsFault.ListCountWrong;
            }

            if (list < PartialBins && ((lists->_partialMask >> list) & 1) != (onList != 0 ? 1 : 0))
            {
                return SlabListsFault.PartialMaskWrong;
            }

            slabs += onList;
        }

        return slabs != lists->Slabs ? SlabListsFault.SlabCountWrong
            : freeObjects != lists->FreeObjects ? SlabListsFault.FreeObjectsWrong
            : SlabListsFault.None;
    }
}
