using System;
using System.Collections.Generic;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Diagnostics;

/// <summary>Turns a caller's mistake into one report that names the true owner, and acts on the heap's policy.</summary>
internal static unsafe class MisuseReport
{
    private const int ObjectsListedMax = 16;

    /// <summary>The named cache, or null, is the one that the caller said. It had the object where the address is nobody's any more.</summary>
    public static void Raise(KmemHeap heap, KmemMisusePolicy policy, KmemMisuse misuse, void* pointer, string operation, Cache* named)
    {
        KmemHeap? owner = misuse == KmemMisuse.ForeignPointer ? HeapDirectory.OwnerOf(pointer) : null;
        if (owner != null && owner != heap)
        {
            misuse = KmemMisuse.WrongHeap;
        }

        string message = string.Create(CultureInfo.InvariantCulture, $"Kmem: {operation}: {Explain(misuse)}. {AddressDescription.Of(heap, pointer)}.");
        Page* page = Zone.PageOf(&heap.Core->Zone, pointer);
        Cache* cache = page == null || page->CacheIndex == 0 ? null : CacheRegistry.At(&heap.Core->Registry, page->CacheIndex);
        cache = cache == null && misuse == KmemMisuse.AlreadyFree ? named : cache;
        policy = cache == null ? policy : heap.PolicyOf(cache->UserIndex);
        Raise(owner ?? heap, policy, misuse, (nuint)pointer, operation, message, cache);
    }

    /// <summary>With what the tracks tell of the object, and where the mistake was made.</summary>
    private static void Raise(KmemHeap heap, KmemMisusePolicy policy, KmemMisuse misuse, nuint pointer, string operation, string message, Cache* owner)
    {
        Cache* cache = CheckedCacheOf(heap, pointer, out nuint start);
        ObjectUsers users = cache == null ? new ObjectUsers() : ObjectUsers.Of(cache, start);
        KnownStack found = users.IsKnown || KmemReports.HasSubscribers ? StackDepot.Now() : KnownStack.None;
        ReportText text = new();
        text.Add(message);
        text.Users(users);
        if (found.Frames.Length != 0)
        {
            text.Found(found);
        }

        KmemReport report = new()
        {
            Misuse = misuse,
            Operation = operation,
            HeapName = heap.Name,
            CacheName = cache != null ? AddressDescription.NameOf(cache) : owner != null ? AddressDescription.NameOf(owner) : "",
            Address = pointer,
            RequestedBytes = cache == null || Cache.TrackOf(cache, start) == null ? 0 : Cache.TrackOf(cache, start)->RequestedBytes,
            AllocatedBy = users.AllocatedBy,
            FreedBy = users.FreedBy,
            FoundBy = found.Frames,
            Text = text.ToString(),
        };
        KmemReports.Publish(report);
        Act(policy, new KmemMisuseException(report));
    }

    /// <summary>The twin that an address lies in an object of, and where that starts; null for other addresses.</summary>
    private static Cache* CheckedCacheOf(KmemHeap heap, nuint address, out nuint start)
    {
        start = 0;
        Page* page = Zone.PageOf(&heap.Core->Zone, (void*)address);
        Cache* cache = page == null || page->CacheIndex == 0 ? null : CacheRegistry.At(&heap.Core->Registry, page->CacheIndex);
        if (cache == null || !cache->IsTwin)
        {
            return null;
        }

        if ((cache->Checks & CacheChecks.Guarded) != 0)
        {
            start = GuardPool.SlotOf(&heap.Core->Registry, address)->Object;
            return cache;
        }

        SlabLayout* layout = &cache->Slabs.Layout;
        nuint first = SlabLists.StartOfSlab(&cache->Slabs, (void*)address) + layout->LeadBytes;
        if (address < first || address >= first + ((nuint)layout->Objects * layout->StrideBytes))
        {
            return null;
        }

        start = address - ((address - first) % layout->StrideBytes);
        return cache;
    }

    /// <summary>Reports what a flush found, once.</summary>
    public static void RaiseDoubleFree(KmemHeap heap)
    {
        CacheRegistry* registry = &heap.Core->Registry;
        int owner = Atomic.Load(&registry->FirstDoubleFreeOwner);
        nuint pointer = (nuint)Atomic.Exchange(&registry->FirstDoubleFree, 0);
        long count = Atomic.Load(&registry->DoubleFrees);
        _ = Atomic.Add(&registry->DoubleFrees, -count);
        if (pointer != 0)
        {
            string message = string.Create(
                CultureInfo.InvariantCulture,
                $"Kmem: an earlier free to the cache '{AddressDescription.NameOf(CacheRegistry.At(registry, owner))}': {Explain(KmemMisuse.AlreadyFree)} ({count} object(s), found when a magazine was emptied; what this call was asked for was done). {AddressDescription.Of(heap, (void*)pointer)}.");
            Cache* cache = CacheRegistry.At(registry, owner);
            KnownStack found = KmemReports.HasSubscribers ? StackDepot.Now() : KnownStack.None;
            KmemReport report = new()
            {
                Misuse = KmemMisuse.AlreadyFree,
                Operation = nameof(KmemHeap.Free),
                HeapName = heap.Name,
                CacheName = AddressDescription.NameOf(cache),
                Address = pointer,
                FoundBy = found.Frames,
                Text = message,
            };
            KmemReports.Publish(report);
            Act(heap.PolicyOf(cache->UserIndex), new KmemMisuseException(report));
        }
    }

    /// <summary>Lists the objects that keep a cache from being destroyed.</summary>
    public static void RaiseLiveObjects(KmemHeap heap, Cache* cache, string name)
    {
        List<nuint> objects = [];
        GCHandle handle = GCHandle.Alloc(objects);
        Cache.VisitLive(cache, &Collect, (void*)GCHandle.ToIntPtr(handle));
        objects.RemoveAll(each => MagazineSearch.Contains(cache, each));
        for (int twin = cache->FirstTwin; twin != 0; twin = CacheRegistry.At(cache->Registry, twin)->NextTwin)
        {
            Cache.VisitLive(CacheRegistry.At(cache->Registry, twin), &Collect, (void*)GCHandle.ToIntPtr(handle));
        }

        handle.Free();
        objects.Sort();

        StringBuilder message = new();
        message.Append(CultureInfo.InvariantCulture, $"Kmem: Dispose of the cache '{name}' of the heap '{heap.Name}': {objects.Count} live object(s) of {cache->Slabs.Layout.ObjectSizeBytes} bytes:");
        for (int index = 0; index < objects.Count && index < ObjectsListedMax; index++)
        {
            message.Append(CultureInfo.InvariantCulture, $" 0x{objects[index]:x}");
        }

        if (objects.Count > ObjectsListedMax)
        {
            message.Append(CultureInfo.InvariantCulture, $" and {objects.Count - ObjectsListedMax} more");
        }

        message.Append(". The cache lives on.");
        LeakTally tally = new();
        tally.AddTwinsOf(cache);
        IReadOnlyList<KmemLeakSite> sites = tally.TakeSites(1);
        if (sites.Count != 0)
        {
            message.Append('\n').Append(LeakText.Rows(sites));
        }

        KmemReport report = new()
        {
            Misuse = KmemMisuse.LiveObjects,
            Operation = nameof(KmemCache.Dispose),
            HeapName = heap.Name,
            CacheName = name,
            Address = objects.Count > 0 ? objects[0] : 0,
            RequestedBytes = (nuint)tally.Bytes,
            AllocatedBy = sites.Count != 0 ? sites[0].Stack : [],
            Text = message.ToString(),
        };
        KmemReports.Publish(report);
        throw new KmemMisuseException(report);
    }

    private static void Collect(void* context, nuint address) =>
        ((List<nuint>)GCHandle.FromIntPtr((nint)context).Target!).Add(address);

    public static string Explain(KmemMisuse misuse) => misuse switch
    {
        KmemMisuse.ForeignPointer => "foreign pointer",
        KmemMisuse.WrongHeap => "the pointer belongs to another heap",
        KmemMisuse.InteriorPointer => "interior pointer, not the start of what was allocated",
        KmemMisuse.AlreadyFree => "already free",
        KmemMisuse.WrongCache => "the object belongs to another cache",
        KmemMisuse.WrongSize => "the size is not this allocation's",
        KmemMisuse.WrongKind => "the pointer is of another kind",
        KmemMisuse.LiveObjects => "live objects",
        KmemMisuse.WrittenBefore => "written before the start",
        KmemMisuse.WrittenPast => "written past the end",
        KmemMisuse.WrittenAfterFree => "written after the free",
        KmemMisuse.TrackDamaged => "the track was written over",
        KmemMisuse.SlabDamaged => "the slab does not hold together",
        KmemMisuse.GuardedAccess => "access outside of a guarded object",
        KmemMisuse.Leaked => "leaked",
        _ => misuse.ToString(),
    };

    /// <summary>Where nobody listens, standard error is told.</summary>
    public static void PublishAndGoOn(KmemReport report)
    {
        KmemReports.Publish(report);
        if (!KmemReports.HasSubscribers)
        {
            Console.Error.WriteLine(report.Text);
        }
    }

    /// <summary>A report of something that damaged nothing: policies that go on do so.</summary>
    public static void PublishAndAct(KmemMisusePolicy policy, KmemReport report)
    {
        if (policy is KmemMisusePolicy.Quarantine or KmemMisusePolicy.Repair)
        {
            PublishAndGoOn(report);
            return;
        }

        KmemReports.Publish(report);
        Act(policy, new KmemMisuseException(report));
    }

    internal static void Act(KmemMisusePolicy policy, KmemMisuseException exception)
    {
        if (policy == KmemMisusePolicy.FailFast)
        {
            Environment.FailFast(exception.Message, exception);
        }

        throw exception;
    }
}
