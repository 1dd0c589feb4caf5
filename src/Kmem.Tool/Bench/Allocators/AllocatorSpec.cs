using System;
using System.Reflection;
using Kmem.Tool.Bench.Measuring;
using Kmem.Tool.Bench.Report;
using Kmem.Tool.Bench.Workloads;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Bench.Allocators;

/// <summary>An allocator as the command line names it, and how a process comes to use it.</summary>
internal sealed record AllocatorSpec
{
    public required string Name { get; init; }

    public required string Description { get; init; }

    public required AllocatorFamily Family { get; init; }

    /// <summary>Library or assembly of a peer.</summary>
    public string? Path { get; init; }

    /// <summary>The class of a managed peer.</summary>
    public string? TypeName { get; init; }

    /// <summary>Whether the library must be in the process from its start, in place of the C library's malloc.</summary>
    public bool IsPreloaded { get; init; }

    /// <summary>Kmem with the front end that works everywhere.</summary>
    public bool UsesTryLock { get; init; }

    /// <summary>A variable that the process has in its environment, or null.</summary>
    public string? Variable { get; init; }

    public string? VariableValue { get; init; }

    /// <summary>Starts a workload in this process, which has this allocator for the rest of its life.</summary>
    public Func<WorkloadSettings, WorkloadRun> Bind(Workload workload)
    {
        switch (Family)
        {
            case AllocatorFamily.Kmem:
                return workload.Start<KmemAllocator, NativeBlock>;
            case AllocatorFamily.NativeMemory:
                return workload.Start<PointerAllocator<NativeMemoryPointers>, NativeBlock>;
            case AllocatorFamily.Managed when Name == AllocatorCatalog.ArrayPoolName:
                return workload.Start<ArrayPoolAllocator, ManagedBlock>;
            case AllocatorFamily.Managed:
                return workload.Start<GarbageCollectedAllocator, ManagedBlock>;
            case AllocatorFamily.NativePeer:
                NativePeer.Load(Path!);
                return workload.Start<PointerAllocator<NativePeerPointers>, NativeBlock>;
            case AllocatorFamily.NativePeerSuppressed:
                NativePeer.Load(Path!);
                return workload.Start<PointerAllocator<NativePeerSuppressedPointers>, NativeBlock>;
            case AllocatorFamily.ManagedPeer:
                Type pointers = ManagedPeer.Load(Path!, TypeName!);
                MethodInfo start = typeof(Workload).GetMethod(nameof(Workload.Start))!
                    .MakeGenericMethod(typeof(PointerAllocator<>).MakeGenericType(pointers), typeof(NativeBlock));
                return start.CreateDelegate<Func<WorkloadSettings, WorkloadRun>>(workload);
            default:
                throw new ToolException($"allocator '{Name}' is of no known family");
        }
    }
}
