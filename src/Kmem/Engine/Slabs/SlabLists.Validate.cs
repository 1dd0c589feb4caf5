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
    /// <summary>Calls <paramref name="visit"/>(context, object address) for every object that is out of its slab. Takes the lock; the visitor must not call back.</summary>
    public static void VisitObjectsOut(SlabLists* lists, delegate*<void*, nuint, void> visit, void* context)
    {
        RankedLock.Enter(&lists->Lock, LockRank.Slabs);
        for (int list = 0; list < ListCount; list++)
        {
            for (uint number = lists->_heads[list]; number != 0; number = At(lists, number)->Next)
            {
                Page* head = At(lists, number);
                nuint address = (nuint)Zone.AddressOf(lists->PageZone, head);
                for (uint index = 0; index < lists->Layout.Objects; index++)
                {
                    if (!Slab.IsFree(head, &lists->Layout, index))
                    {
                        visit(context, address + ((nuint)index * lists->Layout.StrideBytes));
                    }
                }
            }
        }

        RankedLock.Exit(&lists->Lock, LockRank.Slabs);
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
