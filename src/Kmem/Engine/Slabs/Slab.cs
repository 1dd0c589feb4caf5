using System.Runtime.CompilerServices;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Slabs;

// Theory of the slab layer.
//
// A *slab* is a block of 2^order pages cut into objects of one stride. All that is known of it is in the descriptors
// of its pages: the slab's links, its list and the number of free objects in the head's; a bit for each object, set
// while the object is in the slab, spread over the descriptors, 256 to each. Freed objects are never written to:
// a constructed object stays constructed, there is no pointer in free memory to corrupt, a double free is one bit
// test, and objects are taken in the order of their addresses by scanning bits.
//
// Objects of 8 bytes need 512 bits a page, twice what a descriptor holds; their bits are in a table of 64 bytes a page,
// whose address stands in the head's first word of bits (BitTables).
//
//      state     free objects          list
//      full      0                     Full
//      partial   1 .. objects-1        one of eight bins, the fullest slabs in the first
//      free      objects               Free: kept up to a limit, then given back to the buddy allocator
//
// Objects are taken from the fullest partial slab first, so that sparse slabs drain and can be given back.
//
// Equations: full + partial + free == slabs; the sum of FreeObjects over all slabs == free objects of the lists;
//            objects out of the slab layer == slabs × objects per slab − free objects.
//
// An *object's address is checked in one load* of its page's descriptor: x, its distance from the start of the slab in
// granules of 8 bytes, rotated so that a misaligned address becomes huge; x < ObjectUnits says that it lies before
// the tail, and x × M mod 2^32 ≤ M − 1, with M = ceil(2^32/d) mod 2^32, says that d divides x (Lemire, Kaser, Kurz, "Faster
// remainder by direct computation", valid here since x < 2^15 and d < 2^15). The high half of the same product is the index.
// Two ends of the scale: d = 1 (objects of 8 bytes) has M = 0, which lets every x pass; a slab of one object has M = 1,
// which lets only 0 pass.

/// <summary>What a slab's pages say of the cache that it belongs to.</summary>
internal readonly struct SlabOwner
{
    public readonly ushort CacheIndex;

    /// <summary>The same where the cache has an entry in threads' fronts; else 0.</summary>
    public readonly ushort FrontEntry;

    public SlabOwner(int cacheIndex, bool hasFronts)
    {
        CacheIndex = (ushort)cacheIndex;
        FrontEntry = hasFronts ? (ushort)cacheIndex : (ushort)0;
    }
}

/// <summary>One slab: reading and changing the descriptors of its pages. The caller holds the lock of its lists.</summary>
internal static unsafe class Slab
{
    private const int GranuleShift = 3;

    /// <summary>Distance of an address from the first object of its slab in granules; huge when not a multiple of one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint UnitsOf(Page* page, nuint address)
    {
        // Less than 2^32 apart: the low halves of both addresses suffice.
        uint offset = (uint)address - page->SlabLow;
        return (offset >> GranuleShift) | (offset << (32 - GranuleShift));
    }

    /// <summary>Whether an address in this slab page is the start of an object. Reads only what never changes while an object is out.</summary>
    public static bool IsObject(Page* page, nuint address)
    {
        uint units = UnitsOf(page, address);
        return units < page->ObjectUnits && IsBoundary(page, units);
    }

    /// <summary>Whether the stride divides a distance before the tail.</summary>
    public static bool IsBoundary(Page* page, uint units) => units * page->StrideReciprocal <= page->StrideReciprocal - 1;

    /// <summary>Index of the object that contains an address of the slab before its tail.</summary>
    public static uint IndexOf(Page* page, nuint address)
    {
        uint units = ((uint)address - page->SlabLow) >> GranuleShift;
        return page->StrideReciprocal switch
        {
            0 => units,
            1 => 0,
            uint reciprocal => (uint)(((ulong)units * reciprocal) >> 32),
        };
    }

    public static Page* HeadOf(Page* page) => page - page->PageInSlab;

    /// <summary>Fills the descriptors of a fresh block; all objects are free.</summary>
    public static void Carve(Page* head, SlabLayout* layout, nuint slabAddress, SlabOwner owner, ulong* bitTable)
    {
        Invariant.Holds(head->Kind == PageKind.Block && head->Order == layout->Order);
        for (uint page = 0; page < (1u << layout->Order); page++)
        {
            Page* each = head + page;
            each->SlabLow = (uint)(slabAddress + layout->LeadBytes);
            each->CacheIndex = owner.CacheIndex;
            each->FrontEntry = owner.FrontEntry;
            each->StrideReciprocal = layout->StrideReciprocal;
            each->ObjectUnits = layout->ObjectUnits;
            each->PageInSlab = (ushort)page;
            each->Kind = page == 0 ? PageKind.SlabHead : PageKind.SlabTail;
            for (int word = 0; word < Page.FreeWordsPerPage; word++)
            {
                each->FreeBits[word] = 0;
            }
        }

        head->Flags = PageFlags.None;
        head->FreeObjects = (ushort)layout->Objects;
        if (bitTable != null)
        {
            head->FreeBits[0] = (ulong)bitTable;
        }

        uint left = layout->Objects;
        for (uint word = 0; left > 0; word++)
        {
            uint here = left < 64 ? left : 64;
            *WordAt(head, layout, word) = Bits.LowMask((int)here);
            left -= here;
        }
    }

    /// <summary>Clears the descriptors, so that the pages are a plain block again. Every object is free.</summary>
    public static void Dissolve(Page* head, SlabLayout* layout)
    {
        Invariant.Holds(head->Kind == PageKind.SlabHead && head->FreeObjects == layout->Objects);
        for (uint page = 0; page < (1u << layout->Order); page++)
        {
            Page* each = head + page;
            each->SlabLow = 0;
            each->CacheIndex = 0;
            each->StrideReciprocal = 0;
            each->ObjectUnits = 0;
            each->FrontEntry = 0;
            each->PageInSlab = 0;

            // The head speaks for the block at every moment: the page layer reads it while a slab comes or goes.
            each->Kind = page == 0 ? PageKind.Block : PageKind.None;
        }

        head->FreeObjects = 0;
        head->Flags = PageFlags.None;
    }

    /// <summary>Takes up to <paramref name="count"/> free objects in the order of their addresses; returns how many.</summary>
    public static int Take(Page* head, SlabLayout* layout, nuint slabAddress, nuint* objects, int count)
    {
        int wanted = head->FreeObjects < count ? head->FreeObjects : count;
        int taken = 0;
        for (uint word = 0; taken < wanted; word++)
        {
            Invariant.Holds(word * 64 < layout->Objects);
            ulong* bits = WordAt(head, layout, word);
            ulong left = *bits;
            nuint first = slabAddress + layout->LeadBytes + ((nuint)word * 64 * layout->StrideBytes);
            while (left != 0 && taken < wanted)
            {
                objects[taken++] = first + ((nuint)(uint)Bits.TrailingZeros(left) * layout->StrideBytes);
                left &= left - 1;
            }

            *bits = left;
        }

        head->FreeObjects -= (ushort)taken;
        return taken;
    }

    /// <summary>Takes all free objects; returns how many.</summary>
    public static int TakeAll(Page* head, SlabLayout* layout)
    {
        int taken = head->FreeObjects;
        for (uint word = 0; word * 64 < layout->Objects; word++)
        {
            *WordAt(head, layout, word) = 0;
        }

        head->FreeObjects = 0;
        return taken;
    }

    /// <summary>Puts one object back; false if it was there already.</summary>
    public static bool Return(Page* head, SlabLayout* layout, uint index)
    {
        Invariant.Holds(index < layout->Objects);
        ulong* bits = WordAt(head, layout, index / 64);
        ulong bit = 1ul << (int)(index % 64);
        if ((*bits & bit) != 0)
        {
            return false;
        }

        *bits |= bit;
        head->FreeObjects++;
        return true;
    }

    public static bool IsFree(Page* head, SlabLayout* layout, uint index) =>
        (*WordAt(head, layout, index / 64) & (1ul << (int)(index % 64))) != 0;

    /// <summary>Whether the slab's bits are in a table of their own.</summary>
    public static bool UsesBitTable(SlabLayout* layout) => layout->StrideBytes < 2 * SlabLayout.GranuleBytes;

    /// <summary>Recounts the bits against the number of free objects.</summary>
    public static bool IsValid(Page* head, SlabLayout* layout)
    {
        uint free = 0;
        for (uint word = 0; word * 64 < layout->Objects; word++)
        {
            uint left = layout->Objects - (word * 64);
            ulong bits = *WordAt(head, layout, word);
            if ((bits & ~Bits.LowMask((int)(left < 64 ? left : 64))) != 0)
            {
                return false;
            }

            free += (uint)Bits.PopCount(bits);
        }

        return free == head->FreeObjects;
    }

    /// <summary>Whether the descriptor of every page says what the free path reads there.</summary>
    public static bool DescribesAllPages(Page* head, SlabLayout* layout)
    {
        for (uint page = 0; page < (1u << layout->Order); page++)
        {
            Page* each = head + page;
            if (each->CacheIndex != head->CacheIndex
                || each->SlabLow != head->SlabLow
                || each->StrideReciprocal != layout->StrideReciprocal
                || each->ObjectUnits != layout->ObjectUnits
                || each->FrontEntry != head->FrontEntry
                || each->PageInSlab != page
                || each->Kind != (page == 0 ? PageKind.SlabHead : PageKind.SlabTail))
            {
                return false;
            }
        }

        return head->Order == layout->Order;
    }

    private static ulong* WordAt(Page* head, SlabLayout* layout, uint word) => UsesBitTable(layout)
        ? (ulong*)head->FreeBits[0] + word
        : &head[word / Page.FreeWordsPerPage].FreeBits[word % Page.FreeWordsPerPage];
}
