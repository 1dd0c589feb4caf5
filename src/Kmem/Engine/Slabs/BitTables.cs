using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;

namespace Kmem.Engine.Slabs;

/// <summary>
/// Tables of free bits for slabs of 8-byte objects, 64 bytes for each page of a slab, cut from whole pages. Free tables
/// are chained through their first word; a page of tables stays until the cache is destroyed.
/// </summary>
/// <remarks>Guard: the lock of the slab lists that own it.</remarks>
internal unsafe struct BitTables
{
    private const uint TableBytesOfPage = 64;

    private ulong* _free;

    /// <summary>Pages of tables, chained through <c>Payload.OwnerWord</c> of their descriptors.</summary>
    private Page* _pages;

    /// <summary>Pages that hold tables.</summary>
    public long Pages;

    public static nuint TableBytes(int order) => (nuint)TableBytesOfPage << order;

    /// <summary>A table for a slab of the order, or null when there is none: then <see cref="AddPage"/>.</summary>
    public static ulong* TryTake(BitTables* tables)
    {
        ulong* table = tables->_free;
        if (table != null)
        {
            tables->_free = (ulong*)*table;
        }

        return table;
    }

    public static void Return(BitTables* tables, ulong* table)
    {
        *table = (ulong)tables->_free;
        tables->_free = table;
    }

    /// <summary>Cuts a block of one page, which the tables own from now on, into tables.</summary>
    public static void AddPage(BitTables* tables, Page* page, void* address, int slabOrder)
    {
        Invariant.Holds(page->Kind == PageKind.Block && page->Order == 0);
        page->Payload.OwnerWord = (ulong)tables->_pages;
        tables->_pages = page;
        tables->Pages++;
        nuint size = TableBytes(slabOrder);
        for (nuint offset = 0; offset + size <= Address.PageSizeBytes; offset += size)
        {
            Return(tables, (ulong*)((byte*)address + offset));
        }
    }

    /// <summary>The next page to give back when the cache ends, or null.</summary>
    public static Page* TakePage(BitTables* tables)
    {
        Page* page = tables->_pages;
        if (page != null)
        {
            tables->_pages = (Page*)page->Payload.OwnerWord;
            tables->_free = null;
            tables->Pages--;
        }

        return page;
    }
}
