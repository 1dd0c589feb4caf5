using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Slabs;

/// <summary>Which list a slab is on, and the links. The caller holds the lock but for <see cref="GiveBack"/>.</summary>
internal unsafe partial struct SlabLists
{
    /// <summary>Moves a slab to the list that its number of free objects asks for.</summary>
    private static void Relist(SlabLists* lists, Page* head)
    {
        if (head == null)
        {
            return;
        }

        byte list = ListFor(lists, head);
        if (list != head->SlabList)
        {
            Unlink(lists, head);
            Link(lists, head, list);
        }
    }

    private static byte ListFor(SlabLists* lists, Page* head)
    {
        uint free = head->FreeObjects;
        uint objects = lists->Layout.Objects;
        return free == 0 ? ListFull : free == objects ? ListFree : (byte)((free - 1) * PartialBins / objects);
    }

    private static void Link(SlabLists* lists, Page* head, byte list)
    {
        uint number = NumberOf(lists, head);
        uint next = lists->_heads[list];
        head->SlabList = list;
        head->Prev = 0;
        head->Next = next;
        if (next != 0)
        {
            At(lists, next)->Prev = number;
        }

        lists->_heads[list] = number;
        lists->_counts[list]++;
        if (list < PartialBins)
        {
            lists->_partialMask |= (byte)(1 << list);
        }
    }

    private static void Unlink(SlabLists* lists, Page* head)
    {
        byte list = head->SlabList;
        Invariant.Holds(list < ListCount && lists->_counts[list] > 0);
        if (head->Next != 0)
        {
            At(lists, head->Next)->Prev = head->Prev;
        }

        if (head->Prev != 0)
        {
            At(lists, head->Prev)->Next = head->Next;
        }
        else
        {
            lists->_heads[list] = head->Next;
            if (head->Next == 0 && list < PartialBins)
            {
                lists->_partialMask &= (byte)~(1 << list);
            }
        }

        lists->_counts[list]--;
        if (list == ListFree && lists->_counts[ListFree] < lists->FreeSlabsLeast)
        {
            lists->FreeSlabsLeast = lists->_counts[ListFree];
        }
    }

    /// <summary>Takes free slabs off their list until <paramref name="keep"/> are left, and dissolves them; returns them chained through Next.</summary>
    private static Page* UnlinkFreeSlabs(SlabLists* lists, long keep)
    {
        Invariant.Holds(RankedLock.IsHeld(&lists->Lock));
        Page* chain = null;
        while (lists->_counts[ListFree] > keep)
        {
            Page* head = At(lists, lists->_heads[ListFree]);
            Unlink(lists, head);
            if (Slab.UsesBitTable(&lists->Layout))
            {
                BitTables.Return(&lists->_bitTables, (ulong*)head->FreeBits[0]);
            }

            lists->FreeObjects -= lists->Layout.Objects;
            lists->SlabsDestroyed++;
            Slab.Dissolve(head, &lists->Layout);
            head->Next = chain == null ? 0 : NumberOf(lists, chain);
            chain = head;
        }

        return chain;
    }

    private static int GiveBack(SlabLists* lists, Page* chain, int cpu)
    {
        int slabs = 0;
        while (chain != null)
        {
            Page* next = chain->Next == 0 ? null : At(lists, chain->Next);

            if (lists->DamageFound != null)
            {
                TellOfDamage(lists, (nuint)Zone.AddressOf(lists->PageZone, chain));
            }

            // What the OS does not let be accessed again is lost to the heap.
            if (lists->Access == SlabAccess.Ordinary || TrySetAccessible(lists, chain, true))
            {
                Zone.FreeBlock(lists->PageZone, chain, cpu);
            }

            chain = next;
            slabs++;
        }

        return slabs;
    }

    /// <summary>The last look at the objects of a slab: what was written to them after their free would be lost.</summary>
    private static void TellOfDamage(SlabLists* lists, nuint slab)
    {
        nuint address = slab + lists->Layout.LeadBytes;
        for (uint index = 0; index < lists->Layout.Objects; index++, address += lists->Layout.StrideBytes)
        {
            Damage damage = default;
            if (!CheckedObject.IsFreeObjectWhole(lists->Checked, address, &damage))
            {
                damage.ReleasedSlab = slab;
                lists->DamageFound(lists->DamageContext, &damage);
            }
        }
    }
}
