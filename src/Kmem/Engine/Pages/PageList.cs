using Kmem.Engine.Primitives;

namespace Kmem.Engine.Pages;

/// <summary>
/// A list of heads of free blocks of one order, linked through their descriptors by page number: first the dirty ones (they
/// cost memory), the last freed first, then the purged ones (they cost none).
/// </summary>
/// <remarks>
/// <code>
/// First → d → d → d → p → p → p ← Last        d dirty, p purged
///                 ↑ LastDirty                  the dirty block that was freed longest ago
/// </code>
/// Taking from the front prefers memory that is resident and warm; a purge works backwards from LastDirty, so it meets the
/// oldest first and never walks what is purged. 16 bytes; zeroed memory is an empty list. Guarded by its owner's lock.
/// </remarks>
internal unsafe struct PageList
{
    /// <summary>Number of the first head, or 0.</summary>
    public uint First;

    /// <summary>Number of the last head, or 0.</summary>
    public uint Last;

    /// <summary>Number of the last dirty head, or 0 when there is none.</summary>
    public uint LastDirty;

    /// <summary>Heads on the list.</summary>
    public uint Count;

    /// <summary>Puts a head where its <see cref="PageFlags.Purged"/> flag says.</summary>
    public static void Add(PageList* list, Page* map, PageIndex page)
    {
        Page* head = map + page.Number;
        Invariant.Holds(!page.IsNone && list->First != page.Number);
        if ((head->Flags & PageFlags.Purged) != 0)
        {
            head->Next = 0;
            head->Prev = list->Last;
            if (list->Last != 0)
            {
                map[list->Last].Next = page.Number;
            }
            else
            {
                list->First = page.Number;
            }

            list->Last = page.Number;
        }
        else
        {
            head->Prev = 0;
            head->Next = list->First;
            if (list->First != 0)
            {
                map[list->First].Prev = page.Number;
            }
            else
            {
                list->Last = page.Number;
            }

            list->First = page.Number;
            if (list->LastDirty == 0)
            {
                list->LastDirty = page.Number;
            }
        }

        list->Count++;
    }

    public static void Remove(PageList* list, Page* map, PageIndex page)
    {
        Page* head = map + page.Number;
        Invariant.Holds(list->Count != 0);
        Invariant.Holds(head->Prev != 0 ? map[head->Prev].Next == page.Number : list->First == page.Number);
        Invariant.Holds(head->Next != 0 ? map[head->Next].Prev == page.Number : list->Last == page.Number);
        if (list->LastDirty == page.Number)
        {
            // Whatever is before the last dirty head is dirty too.
            list->LastDirty = head->Prev;
        }

        if (head->Prev != 0)
        {
            map[head->Prev].Next = head->Next;
        }
        else
        {
            list->First = head->Next;
        }

        if (head->Next != 0)
        {
            map[head->Next].Prev = head->Prev;
        }
        else
        {
            list->Last = head->Prev;
        }

        head->Next = 0;
        head->Prev = 0;
        list->Count--;
        Invariant.Holds((list->Count == 0) == (list->First == 0) && (list->First == 0) == (list->Last == 0));
    }

    /// <summary>Removes and returns the first head: dirty if there is a dirty one.</summary>
    public static PageIndex TakeFirst(PageList* list, Page* map)
    {
        PageIndex page = new(list->First);
        if (!page.IsNone)
        {
            Remove(list, map, page);
        }

        return page;
    }

    /// <summary>Removes and returns the last head: the coldest.</summary>
    public static PageIndex TakeLast(PageList* list, Page* map)
    {
        PageIndex page = new(list->Last);
        if (!page.IsNone)
        {
            Remove(list, map, page);
        }

        return page;
    }
}
