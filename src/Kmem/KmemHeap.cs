using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Threading;
using Kmem.Diagnostics;
using Kmem.Engine;
using Kmem.Engine.Caches;
using Kmem.Engine.Pages;
using Kmem.Engine.Primitives;
using Kmem.Engine.Sized;
using Kmem.Engine.Slabs;

namespace Kmem;

/// <summary>
/// A heap of one's own: an address range, a page allocator, size classes and caches that share nothing with other heaps.
/// Disposing it releases everything in it at once.
/// </summary>
/// <remarks>
/// <para>Thread-safe, except <see cref="Dispose"/>, after which nothing of the heap may be used. The rules for memory are those of <see cref="Kmalloc"/>.</para>
/// <para>What is freed waits in magazines of the CPU. Only the shared heap has magazines of threads too, where the machine has restartable
/// sequences.</para>
/// </remarks>
public sealed unsafe partial class KmemHeap : IDisposable
{
    private readonly KmemHeapOptions _options;
    private readonly Lock _maintenance = new();
    private readonly bool _isShared;
    private bool _disposed;

    /// <summary>Caches on this heap that were not disposed; they must not touch it once it is gone.</summary>
    private readonly HashSet<KmemCache> _caches = [];

    // What the first rung needs: constant while the heap lives.
    internal readonly SizedHeap* Core;
    internal readonly byte* ClassTable;
    internal readonly nuint Areas;
    internal readonly bool Restartable;

    /// <summary>Whether threads keep rounds of their own: in the shared heap, where a thread's end can be noticed.</summary>
    internal readonly bool HasFronts;

    internal readonly byte* FirstBase;
    internal readonly Page* MemoryMap;

    /// <summary>0 once disposed, so that every allocation takes the slow rung.</summary>
    internal nuint LargestClassBytes;

    /// <summary>Points to 0 once disposed, so that every free takes the slow rung.</summary>
    internal nuint* Frontier;

    /// <summary>Makes a heap.</summary>
    /// <param name="options">Settings; null takes the defaults.</param>
    /// <exception cref="ArgumentException">A setting is out of range.</exception>
    /// <exception cref="PlatformNotSupportedException">Restartable sequences were asked for and this machine has none.</exception>
    /// <exception cref="OutOfMemoryException">The OS refuses address space or memory.</exception>
    public KmemHeap(KmemHeapOptions? options = null)
        : this(options ?? new KmemHeapOptions(), Face.SelectOs())
    {
    }

    internal KmemHeap(KmemHeapOptions options, Engine.Os.OsTable os, bool isShared = false)
    {
        _isShared = isShared;
        ArgumentException.ThrowIfNullOrWhiteSpace(options.Name, nameof(options));
        ArgumentOutOfRangeException.ThrowIfNegative(options.PurgeDelayMilliseconds, nameof(options));
        ArgumentOutOfRangeException.ThrowIfNegative(options.MaintenanceIntervalMilliseconds, nameof(options));
        ThrowIfUnknown(options.FrontEnd, nameof(options));
        ThrowIfUnknown(options.SizeClasses, nameof(options));
        ThrowIfUnknown(options.SlabRule, nameof(options));
        ThrowIfUnknown(options.MisusePolicy, nameof(options));
        _debug = ParseDebug(options.Debug ?? Environment.GetEnvironmentVariable("KMEM_DEBUG"), options.Debug == null ? "KMEM_DEBUG" : nameof(options));
        nuint profileInterval = ChooseProfileInterval(options.ProfileIntervalBytes);
        int guardInterval = ChooseGuardInterval(options.GuardIntervalMilliseconds);
        ArgumentOutOfRangeException.ThrowIfNegative(guardInterval, nameof(options));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.GuardedObjects, 1, nameof(options));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.GuardedObjects, GuardPool.SlotsMax, nameof(options));
        _options = options.Copy();
        Restartable = ChooseFrontEnd(options.FrontEnd);
        HasFronts = isShared && Restartable && Face.CanWatchThreads;
        HeapDefinition definition = new()
        {
            Os = os,
            ReserveBytes = options.ReserveBytes,
            Growable = options.Growable,
            CpuCount = Face.CpuCountMax(),
            Restartable = Restartable,
            FrontCountMax = HasFronts ? ThreadFronts.CountMax : 0,
            SizeClasses = options.SizeClasses == KmemSizeClasses.Kernel ? SizeClassSet.Kernel : SizeClassSet.Default,
            SlabRule = options.SlabRule == KmemSlabRule.Kernel ? SlabRule.Kernel : SlabRule.Default,
        };
        Core = SizedHeap.Create(&definition);
        if (Core == null)
        {
            throw new OutOfMemoryException($"Kmem: the operating system refuses memory for the heap '{options.Name}'.");
        }

        ClassTable = Core->ClassTable;
        Areas = (nuint)Core->Registry.Areas;
        LargestClassBytes = Core->LargestClassBytes;
        FirstBase = Core->Zone.FirstBase;
        MemoryMap = Core->Zone.MemoryMapOfFirst;
        Frontier = &Core->Zone.FirstFrontierBytes;
        Core->Registry.Guards.SlotsWanted = options.GuardedObjects;
        SetChecksOfNewHeap();
        Pages = new PageAllocator(this);
        HeapDirectory.Add(this);
        if (profileInterval != 0)
        {
            ProfileIntervalBytes = profileInterval;
        }

        if (guardInterval != 0)
        {
            GuardIntervalMilliseconds = guardInterval;
        }

        KmemEventSource.Start();
        KmemMeter.Start(inBackground: isShared);
        MaintenanceIntervalMilliseconds = options.MaintenanceIntervalMilliseconds;
    }

    /// <summary>The heap that <see cref="Kmalloc"/> uses and caches use by default. It is never disposed.</summary>
    public static KmemHeap Shared => SharedHeap.Instance;

    /// <summary>Name of the heap in reports.</summary>
    public string Name => _options.Name;

    /// <summary>How the per-CPU magazines are reached.</summary>
    public KmemFrontEnd FrontEnd => Restartable ? KmemFrontEnd.RestartableSequences : KmemFrontEnd.TryLock;

    /// <summary>The page allocator below.</summary>
    public PageAllocator Pages { get; }

    /// <inheritdoc cref="Kmalloc.Alloc"/>
    /// <safety>As for <see cref="Kmalloc.Alloc"/>.</safety>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void* Alloc(nuint sizeBytes)
    {
        if (HasFronts)
        {
            return Kmalloc.Alloc(sizeBytes);
        }

        if (sizeBytes - 1 < LargestClassBytes)
        {
            void* round = FastPath.Pop(FastPath.SlotFor(ClassTable, Areas, sizeBytes), Restartable);
            if (round != null)
            {
                return round;
            }
        }

        return AllocSlow(sizeBytes);
    }

    /// <inheritdoc cref="Kmalloc.TryAlloc"/>
    /// <safety>As for <see cref="Kmalloc.Alloc"/>.</safety>
    public void* TryAlloc(nuint sizeBytes)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        void* memory = SizedHeap.Allocate(Core, sizeBytes);
        if (memory == null && sizeBytes <= SizedHeap.SizeBytesMax && !Face.TakeInjectedFault())
        {
            // What magazines and empty slabs hold may serve this request.
            SizedHeap.ReclaimUnused(Core);
            memory = SizedHeap.Allocate(Core, sizeBytes);
        }

        return ThrowIfDamage(memory);
    }

    /// <inheritdoc cref="Kmalloc.AllocZeroed"/>
    /// <safety>As for <see cref="Kmalloc.Alloc"/>.</safety>
    public void* AllocZeroed(nuint sizeBytes)
    {
        void* memory = Alloc(sizeBytes);
        ClearFresh(memory, sizeBytes);
        return memory;
    }

    /// <summary>Clears an allocation that nobody wrote to yet, unless the OS did.</summary>
    internal void ClearFresh(void* memory, nuint sizeBytes)
    {
        if (sizeBytes != 0 && !SizedHeap.ReadsAsZero(Core, memory))
        {
            Memory.Clear(memory, sizeBytes);
        }
    }

    /// <inheritdoc cref="Kmalloc.AllocAligned"/>
    /// <safety>As for <see cref="Kmalloc.Alloc"/>.</safety>
    public void* AllocAligned(nuint sizeBytes, nuint alignmentBytes)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ThrowIfNotAlignment(alignmentBytes, SizedHeap.AlignmentBytesMax);
        void* memory = SizedHeap.AllocateAligned(Core, sizeBytes, alignmentBytes);
        if (memory == null && !Face.TakeInjectedFault())
        {
            SizedHeap.ReclaimUnused(Core);
            memory = SizedHeap.AllocateAligned(Core, sizeBytes, alignmentBytes);
        }

        memory = ThrowIfDamage(memory);
        return memory != null ? memory : throw OutOfMemory($"{sizeBytes} bytes aligned to {alignmentBytes}");
    }

    /// <inheritdoc cref="Kmalloc.Realloc"/>
    /// <safety>As for <see cref="Kmalloc.Realloc"/>.</safety>
    public void* Realloc(void* pointer, nuint sizeBytes)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        void* moved = SizedHeap.Reallocate(Core, pointer, sizeBytes, out Misuse misuse);
        ThrowIfMisuse(misuse, pointer, "Realloc");
        _ = ThrowIfDamage(moved == pointer ? null : moved);
        if (moved == null && !Face.TakeInjectedFault() && sizeBytes <= SizedHeap.SizeBytesMax)
        {
            SizedHeap.ReclaimUnused(Core);
            moved = SizedHeap.Reallocate(Core, pointer, sizeBytes, out misuse);
            ThrowIfMisuse(misuse, pointer, "Realloc");
            _ = ThrowIfDamage(moved == pointer ? null : moved);
        }

        return moved != null ? moved : throw OutOfMemory($"{sizeBytes} bytes in place of {UsableSize(pointer)}");
    }

    /// <inheritdoc cref="Kmalloc.Free(void*)"/>
    /// <safety>As for <see cref="Kmalloc.Free(void*)"/>.</safety>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Free(void* pointer)
    {
        if (HasFronts)
        {
            Kmalloc.Free(pointer);
        }
        else if (!FastPath.TryFree(FirstBase, Frontier, MemoryMap, Areas, Restartable, pointer))
        {
            FreeSlow(pointer);
        }
    }

    /// <inheritdoc cref="Kmalloc.Free(void*, nuint)"/>
    /// <safety>As for <see cref="Kmalloc.Free(void*)"/>.</safety>
    public void Free(void* pointer, nuint sizeBytes)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (pointer != null)
        {
            Misuse misuse = SizedHeap.CheckSize(Core, pointer, sizeBytes);
            if (misuse != Misuse.None)
            {
                ThrowIfMisuse(misuse, pointer, $"Free of {sizeBytes} bytes");
            }

            Free(pointer);
        }
    }

    /// <inheritdoc cref="Kmalloc.UsableSize"/>
    /// <safety>As for <see cref="Kmalloc.UsableSize"/>.</safety>
    public nuint UsableSize(void* pointer)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        nuint usable = SizedHeap.UsableSize(Core, pointer, out Misuse misuse);
        ThrowIfMisuse(misuse, pointer, "UsableSize");
        return usable;
    }

    /// <inheritdoc cref="Kmalloc.RoundUpSize"/>
    public nuint RoundUpSize(nuint sizeBytes)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return SizedHeap.RoundUp(Core, sizeBytes);
    }

    /// <summary>
    /// One maintenance pass: what depots and slabs did not need since the last pass is given up, the magazines of CPUs and of threads are emptied that were not
    /// used for five passes or whose thread has ended, and pages that have been free for <see cref="KmemHeapOptions.PurgeDelayMilliseconds"/> go
    /// back to the OS. Runs in the background by itself unless that was turned off.
    /// </summary>
    /// <exception cref="KmemMisuseException">An object that was freed twice was found on the way.</exception>
    public void Maintain()
    {
        lock (_maintenance)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _ = SizedHeap.Maintain(Core, _options.PurgeDelayMilliseconds);
        }

        ThrowIfDoubleFree();
        ThrowIfDamage();
    }

    /// <summary>Empties every magazine, also those of threads, frees every empty slab and gives every free page back to the OS, now.</summary>
    /// <returns>Bytes given back to the OS.</returns>
    /// <exception cref="KmemMisuseException">An object that was freed twice was found on the way.</exception>
    public nuint Trim()
    {
        using Activity? activity = KmemActivities.Start(KmemActivities.Trim, Name);
        try
        {
            nuint bytes;
            lock (_maintenance)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                bytes = SizedHeap.Trim(Core);
            }

            activity?.SetTag("kmem.purged_bytes", (long)bytes);
            ThrowIfDoubleFree();
            ThrowIfDamage();
            return bytes;
        }
        catch (Exception exception)
        {
            KmemActivities.Fail(activity, exception);
            throw;
        }
    }

    /// <summary>Walks and recounts every structure. For tests and tools: costs time in proportion to the heap.</summary>
    /// <exception cref="InvalidOperationException">A structure is broken; the message says which.</exception>
    public void Validate()
    {
        using Activity? activity = KmemActivities.Start(KmemActivities.Validate, Name);
        try
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            HeapValidation.Validate(this);
        }
        catch (Exception exception)
        {
            KmemActivities.Fail(activity, exception);
            throw;
        }
    }

    /// <summary>Where every byte is.</summary>
    /// <returns>The figures of this moment.</returns>
    public KmemStatistics GetStatistics()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return HeapSnapshot.Take(this);
    }

    /// <summary>For who is nobody's caller: null where the heap is disposed, or is so soon.</summary>
    internal HeapReading? TryRead()
    {
        lock (_maintenance)
        {
            return _disposed ? null : HeapSnapshot.Read(this);
        }
    }

    /// <summary>What an address is, in words: whose object, slab, run or block, at which offset, free or not.</summary>
    /// <param name="address">Any address at all; it is not accessed.</param>
    /// <returns>One line.</returns>
    /// <safety>None: the address is not accessed.</safety>
    public string Describe(void* address)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return AddressDescription.Of(this, address);
    }

    /// <summary>Releases the heap and everything in it at once, without destructors. The shared heap ignores this.</summary>
    public void Dispose()
    {
        if (_isShared)
        {
            return;
        }

        if (_options.ReportLeaksAtDispose && !_disposed)
        {
            ReportLeaks();
        }

        lock (_maintenance)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            _timer?.Dispose();
            _guardTimer?.Dispose();
            LargestClassBytes = 0;
            Frontier = EmptySlot.Frontier;
            foreach (KmemCache cache in _caches)
            {
                cache.Detach();
            }

            HeapDirectory.Remove(this);
            SizedHeap.Destroy(Core);
        }
    }

    internal bool IsDisposed => _disposed;

    internal void Register(KmemCache cache)
    {
        lock (_maintenance)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _caches.Add(cache);
        }
    }

    internal void Unregister(KmemCache cache)
    {
        lock (_maintenance)
        {
            _caches.Remove(cache);
        }
    }

    /// <summary>The slow rungs for a caller that looked for its front: from where it stands, it finds that the next time.</summary>
    /// <param name="sizeBytes">Bytes.</param>
    /// <param name="stackAddress">Where the caller looked from. Frames of what it calls may lie on other pages.</param>
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal void* AllocSlow(nuint sizeBytes, void* stackAddress)
    {
        if (HasFronts)
        {
            ThreadFronts.LetFind(&Core->Registry, stackAddress);
        }

        return AllocSlow(sizeBytes);
    }

    /// <summary>The mirror.</summary>
    /// <inheritdoc cref="AllocSlow(nuint, void*)"/>
    [MethodImpl(MethodImplOptions.NoInlining)]
    internal void FreeSlow(void* pointer, void* stackAddress)
    {
        if (HasFronts)
        {
            ThreadFronts.LetFind(&Core->Registry, stackAddress);
        }

        FreeSlow(pointer);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal void* AllocSlow(nuint sizeBytes)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        void* memory = ThrowIfDamage(SizedHeap.AllocateSlow(Core, sizeBytes));
        if (memory == null && !Face.TakeInjectedFault())
        {
            memory = TryAlloc(sizeBytes);
        }

        return memory != null ? memory : throw OutOfMemory($"{sizeBytes} bytes");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    internal void FreeSlow(void* pointer)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ThrowIfMisuse(SizedHeap.Free(Core, pointer), pointer, "Free");
        ThrowIfDoubleFree();
        ThrowIfDamage();
    }

    /// <summary>With the cache that the caller named, where it did: the address may be nobody's any more.</summary>
    internal void ThrowIfMisuse(Misuse misuse, void* pointer, string operation, Cache* cache = null)
    {
        if (misuse != Misuse.None)
        {
            MisuseReport.Raise(this, _options.MisusePolicy, (KmemMisuse)misuse, pointer, operation, cache);
        }
    }

    /// <summary>An object that was freed twice, with others in between, is found when a magazine is emptied into the slabs.</summary>
    internal void ThrowIfDoubleFree()
    {
        if (Atomic.Load(&Core->Registry.DoubleFrees) != 0)
        {
            MisuseReport.RaiseDoubleFree(this);
        }
    }

    internal OutOfMemoryException OutOfMemory(string what)
    {
        KmemStatistics statistics = GetStatistics();
        return new OutOfMemoryException(
            $"Kmem: no memory for {what}: the heap '{Name}' has committed {statistics.CommittedBytes:N0} bytes of {statistics.ReservedBytes:N0} reserved.");
    }

    internal static void ThrowIfNotAlignment(nuint alignmentBytes, nuint largest, [CallerArgumentExpression(nameof(alignmentBytes))] string? name = null)
    {
        if (!Address.IsPowerOfTwo(alignmentBytes) || alignmentBytes > largest)
        {
            throw new ArgumentException($"An alignment is a power of two from 1 to {largest} bytes, not {alignmentBytes}.", name);
        }
    }

    internal static void ThrowIfUnknown<T>(T setting, string name)
        where T : struct, Enum
    {
        if (!Enum.IsDefined(setting))
        {
            throw new ArgumentOutOfRangeException(name, setting, $"There is no such {typeof(T).Name}.");
        }
    }

    private static bool ChooseFrontEnd(KmemFrontEnd choice)
    {
        if (choice == KmemFrontEnd.Auto)
        {
            choice = Environment.GetEnvironmentVariable("KMEM_FRONT_END") switch
            {
                null or "" => FaceStubs.Available ? KmemFrontEnd.RestartableSequences : KmemFrontEnd.TryLock,
                "rseq" => KmemFrontEnd.RestartableSequences,
                "lock" => KmemFrontEnd.TryLock,
                string other => throw new ArgumentException($"KMEM_FRONT_END is 'rseq' or 'lock', not '{other}'."),
            };
        }

        if (choice == KmemFrontEnd.RestartableSequences && !FaceStubs.Available)
        {
            throw new PlatformNotSupportedException(
                "Kmem: this machine has no restartable sequences (they need x64 Linux, glibc 2.35 or newer with rseq registered, membarrier, and executable memory). Use KmemFrontEnd.TryLock or Auto.");
        }

        return choice == KmemFrontEnd.RestartableSequences;
    }

    /// <summary>A holder of its own, so that touching another member of the heap does not make the shared one.</summary>
    private static class SharedHeap
    {
        public static readonly KmemHeap Instance = new(new KmemHeapOptions { Name = "shared" }, Face.SelectOs(), isShared: true);
    }
}
