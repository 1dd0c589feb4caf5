using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;

namespace Kmem.Native;

/// <summary>
/// A caller's mistake: one line on standard error that says what was done to which pointer and what that is, then <c>abort</c>:
/// <code>
/// kmem: free(0x7f10c4000040): already free: object 1 of 64 in the slab 0x7f10c4000000 of kmalloc-64
/// </code>
/// </summary>
internal static unsafe class MisuseMessage
{
    public static void Fail(string operation, void* pointer, Misuse misuse)
    {
        TextLine line = default;
        line.Add("kmem: ");
        line.Add(operation);
        line.Add("(");
        line.AddHex((nuint)pointer);
        line.Add("): ");
        line.Add(Explain(misuse));
        Describe(&line, pointer);
        line.WriteTo(Libc.StandardError);
        Libc.abort();
    }

    public static void Warn(string what)
    {
        TextLine line = default;
        line.Add("kmem: ");
        line.Add(what);
        line.WriteTo(Libc.StandardError);
    }

    /// <summary>Ends the process where a checked object is damaged.</summary>
    public static void FailForDamage(Cache* twin, Damage* damage)
    {
        TextLine line = default;
        line.Add("kmem: damage at ");
        line.AddHex(damage->Address);
        line.Add(damage->Kind switch
        {
            DamageKind.LeftZone => ", written before the start",
            DamageKind.RightZone => ", written past the end",
            DamageKind.AfterFree => ", written after the free",
            DamageKind.Track => ", the track was written over",
            _ => ", the slab does not hold together",
        });
        if (damage->Kind is DamageKind.LeftZone or DamageKind.RightZone or DamageKind.AfterFree)
        {
            line.Add(": ");
            line.AddHex(damage->Found);
            line.Add(" instead of ");
            line.AddHex(damage->Expected);
        }

        Describe(&line, (void*)damage->Object);
        line.WriteTo(Libc.StandardError);
        Libc.abort();
    }

    /// <summary>Ends the process where an object was freed twice long before, as the emptying of a magazine found.</summary>
    public static void FailIfFreedTwice(SizedHeap* heap)
    {
        if (Atomic.Load(&heap->Registry.DoubleFrees) != 0)
        {
            void* pointer = (void*)Atomic.Load(&heap->Registry.FirstDoubleFree);
            TextLine line = default;
            line.Add("kmem: an earlier free(");
            line.AddHex((nuint)pointer);
            line.Add("): already free then");
            Describe(&line, pointer);
            line.WriteTo(Libc.StandardError);
            Libc.abort();
        }
    }

    private static string Explain(Misuse misuse) => misuse switch
    {
        Misuse.ForeignPointer => "not memory of this heap",
        Misuse.InteriorPointer => "not the start of an allocation",
        Misuse.AlreadyFree => "already free",
        Misuse.WrongCache => "an object of another cache",
        Misuse.WrongSize => "not of that size",
        Misuse.WrongKind => "memory of another kind",
        Misuse.LiveObjects => "live objects",
        _ => "a mistake",
    };

    /// <summary>What is at the address, if anything of the heap is.</summary>
    private static void Describe(TextLine* line, void* pointer)
    {
        SizedHeap* heap = ProcessHeap.Existing;
        Page* page = heap == null ? null : Zone.PageOf(&heap->Zone, pointer);
        if (page == null)
        {
            return;
        }

        if (GuardPool.Contains(&heap->Registry, (nuint)pointer))
        {
            DescribeGuarded(line, heap, (nuint)pointer);
            return;
        }

        if (page->CacheIndex != 0)
        {
            DescribeObject(line, heap, page, (nuint)pointer);
            return;
        }

        Page* head = Zone.HeadOf(&heap->Zone, page);
        if (head == null)
        {
            return;
        }

        nuint start = (nuint)Zone.AddressOf(&heap->Zone, head);
        AddOffset(line, (nuint)pointer - start);
        if (head->Kind == PageKind.Run)
        {
            line->Add("an allocation of ");
            line->Add(head->Payload.RequestedBytes);
            line->Add(" bytes at ");
        }
        else
        {
            line->Add("free pages at ");
        }

        line->AddHex(start);
    }

    private static void DescribeGuarded(TextLine* line, SizedHeap* heap, nuint address)
    {
        GuardSlot* slot = GuardPool.SlotNear(&heap->Registry, address);
        if (slot == null || slot->State == (uint)GuardState.Unused)
        {
            line->Add(": a page for guarded objects");
            return;
        }

        if (address < slot->Object)
        {
            line->Add(": ");
            line->Add(slot->Object - address);
            line->Add(" bytes before ");
        }
        else
        {
            AddOffset(line, address - slot->Object);
        }

        line->Add("the guarded object of ");
        line->Add(slot->Track.RequestedBytes);
        line->Add(" bytes of ");
        line->Add(CacheRegistry.At(&heap->Registry, slot->CacheIndex)->Name);
    }

    private static void DescribeObject(TextLine* line, SizedHeap* heap, Page* page, nuint address)
    {
        Cache* cache = CacheRegistry.At(&heap->Registry, page->CacheIndex);
        SlabLayout* layout = &cache->Slabs.Layout;
        nuint slab = (nuint)Zone.AddressOf(&heap->Zone, Slab.HeadOf(page));
        if (address - slab < layout->LeadBytes)
        {
            line->Add(": before the first object of");
        }
        else if (address - slab >= layout->LeadBytes + (layout->Objects * layout->StrideBytes))
        {
            line->Add(": behind the last object of");
        }
        else
        {
            uint index = Slab.IndexOf(page, address);
            AddOffset(line, address - slab - layout->LeadBytes - (index * layout->StrideBytes));
            line->Add("object ");
            line->Add(index);
            line->Add(" of ");
            line->Add(layout->Objects);
            line->Add(" in");
        }

        line->Add(" the slab ");
        line->AddHex(slab);
        line->Add(" of ");
        line->Add(cache->Name);
    }

    private static void AddOffset(TextLine* line, nuint offset)
    {
        line->Add(": ");
        if (offset != 0)
        {
            line->Add(offset);
            line->Add(" bytes into ");
        }
    }
}
