using Kmem.Engine.Caches;
using Kmem.Engine.Os;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Sized;

/// <summary>Making a heap and its size classes, and taking it apart.</summary>
internal unsafe partial struct SizedHeap
{
    /// <summary>A new heap, or null when the OS refuses.</summary>
    public static SizedHeap* Create(HeapDefinition* definition)
    {
        OsTable os = definition->Os;
        byte* control = (byte*)os.Reserve(os.Context, ControlBytes, Address.PageSizeBytes);
        if (control == null)
        {
            return null;
        }

        if (!os.Commit(os.Context, control, ControlBytes))
        {
            os.Release(os.Context, control, ControlBytes);
            return null;
        }

        SizedHeap* heap = (SizedHeap*)control;
        Invariant.Check((nuint)sizeof(SizedHeap) <= TableOffset && TableOffset + SizeClasses.TableBytes <= ControlBytes);
        heap->Os = os;
        heap->ClassTable = control + TableOffset;
        heap->ClassSet = definition->SizeClasses;
        heap->SlabRule = definition->SlabRule;
        heap->LargestClassBytes = SizeClasses.Largest(definition->SizeClasses);
        ZoneOptions options = new()
        {
            ReserveBytes = definition->ReserveBytes,
            CapacityBytes = definition->CapacityBytes,
            Growable = definition->Growable,
            CpuCount = definition->CpuCount,
        };
        if (!Zone.Initialize(&heap->Zone, &heap->Os, &options))
        {
            os.Release(os.Context, control, ControlBytes);
            return null;
        }

        if (!CacheRegistry.Initialize(&heap->Registry, &heap->Os, &heap->Zone, definition->CpuCount, definition->Restartable, definition->FrontCountMax)
            || !CreateClasses(heap))
        {
            Destroy(heap);
            return null;
        }

        SizeClasses.FillTable(heap->ClassSet, heap->ClassTable, CacheRegistry.FirstOrdinary);
        return heap;
    }

    /// <summary>Releases everything at once: every object of the heap is gone.</summary>
    public static void Destroy(SizedHeap* heap)
    {
        OsTable os = heap->Os;
        CacheRegistry.Destroy(&heap->Registry);
        Zone.Destroy(&heap->Zone);
        os.Release(os.Context, heap, ControlBytes);
    }

    private static bool CreateClasses(SizedHeap* heap)
    {
        byte* name = stackalloc byte[Cache.NameBytesMax];
        for (int sizeClass = 0; sizeClass < SizeClasses.Count(heap->ClassSet); sizeClass++)
        {
            nuint size = SizeClasses.SizeOf(heap->ClassSet, sizeClass);
            CacheDefinition definition = new()
            {
                Layout = SlabLayout.Compute((uint)size, 0, heap->SlabRule, heap->Registry.CpuCount, false),
                Flags = CacheFlags.SizeClass,
                HasMagazines = true,
                Name = name,
                NameBytes = ClassName(name, heap->ClassSet, size),
            };
            Cache* cache = CacheRegistry.Create(&heap->Registry, &definition);
            if (cache == null)
            {
                return false;
            }

            Invariant.Check(cache->Index == CacheRegistry.FirstOrdinary + sizeClass);
        }

        return true;
    }

    /// <summary>Writes "kmalloc-64", and the kernel's "kmalloc-2k" in its own set; returns the length.</summary>
    private static int ClassName(byte* name, SizeClassSet set, nuint size)
    {
        int length = 0;
        for (ulong prefix = 0x2D_63_6F_6C_6C_61_6D_6B; prefix != 0; prefix >>= 8)
        {
            name[length++] = (byte)prefix;
        }

        bool kilo = set == SizeClassSet.Kernel && size >= 1024;
        nuint number = kilo ? size / 1024 : size;
        nuint divisor = 1;
        while (number / divisor >= 10)
        {
            divisor *= 10;
        }

        for (; divisor > 0; divisor /= 10)
        {
            name[length++] = (byte)('0' + ((number / divisor) % 10));
        }

        if (kilo)
        {
            name[length++] = (byte)'k';
        }

        return length;
    }
}
