using System;
using System.Buffers;
using System.Numerics;
using System.Threading;
using Kmem.Pooling;

namespace Kmem;

/// <summary>
/// A <see cref="MemoryPool{T}"/> of bytes outside of the garbage collector's heap. Renting allocates no managed memory once it has warmed up, and memory is pinned by
/// nature: <see cref="Memory{T}.Pin"/> costs nothing.
/// </summary>
/// <remarks>
/// <para>Thread-safe, <see cref="MemoryPool{T}.Dispose()"/> included. A lease may end in another thread than it began in. Contents are not initialised.</para>
/// <para>What is returned goes to the heap at once, whose magazines have it for the next and whose maintenance gives it back to the OS. Only the owner objects are kept:
/// per CPU, and in batches between CPUs.</para>
/// <para>Mistakes. To return a lease twice throws a <see cref="KmemMisuseException"/>, to use <see cref="IMemoryOwner{T}.Memory"/>, a span or a pin of it after its return an
/// <see cref="ObjectDisposedException"/>; both name the pool and the block and are reported (<see cref="KmemReports"/>). Owners are used again for other leases, though only after at least
/// 31 others were returned: from then on a mistake with the old lease is one with the new lease, and is not told apart, unless <see cref="ChecksLeases"/> is on.
/// Not found at all: a span or a pointer that was taken before the return and is used after it. The letter P of <see cref="KmemHeap.SetChecks(string)"/> finds what is written there.</para>
/// <para>A lease that nobody holds any more and nobody returned is counted and reported. Its memory stays allocated: a span into it may still be in use.</para>
/// <para>Dispose the pool before its heap. After <see cref="MemoryPool{T}.Dispose()"/> no more is rented, and leases stay valid until they are returned.</para>
/// </remarks>
public sealed unsafe class SlabMemoryPool : MemoryPool<byte>
{
    /// <summary>What <c>Rent()</c> without a size gives: as much as Kestrel's pool.</summary>
    public const int DefaultBytes = 4096;

    private const int BlockBytesMin = 16;
    private const int ShardsMax = 64;

    private readonly KmemHeap _heap;
    private readonly KmemCache? _cache;
    private readonly bool _ownsCache;
    private readonly bool _isShared;
    private readonly int _blockBytes;
    private readonly LeaseShard[] _shards;
    private readonly LeaseDepot _depot = new();
    private readonly Lock _disposal = new();
    private readonly PoolListing _listing;
    private long _ownersCreated;
    private long _lostLeases;
    private bool _isDisposed;

    /// <summary>No rent is under way that did not see <see cref="_isDisposed"/>: from now on the count of leases only falls.</summary>
    private bool _isClosed;
    private bool _isGone;

    /// <summary>Makes a pool of any size on the shared heap.</summary>
    public SlabMemoryPool()
        : this(null)
    {
    }

    /// <summary>Makes a pool.</summary>
    /// <param name="options">Settings; null takes the defaults.</param>
    /// <exception cref="ArgumentException">A setting is out of range, or the cache is of another heap or size than the options say.</exception>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    /// <exception cref="OutOfMemoryException">There is no memory for the cache.</exception>
    public SlabMemoryPool(SlabMemoryPoolOptions? options)
        : this(options ?? new SlabMemoryPoolOptions(), isShared: false)
    {
    }

    private SlabMemoryPool(SlabMemoryPoolOptions options, bool isShared)
    {
        KmemCache.ThrowIfNotName(options.Name);
        KmemCache? cache = options.Cache;
        int blockBytes = options.BlockBytes;
        if (blockBytes != 0 && blockBytes is < BlockBytesMin or > KmemCache.ObjectSizeBytesMax)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), blockBytes, $"A block of the memory pool '{options.Name}' has {BlockBytesMin} to {KmemCache.ObjectSizeBytesMax} bytes, or 0 for any size.");
        }

        if (cache != null && options.Heap != null && options.Heap != cache.Heap)
        {
            throw new ArgumentException($"The cache '{cache.Name}' is not on the heap '{options.Heap.Name}' that the memory pool '{options.Name}' is to use.", nameof(options));
        }

        if (cache != null && blockBytes != 0 && (nuint)blockBytes > cache.ObjectSizeBytes)
        {
            throw new ArgumentException($"The objects of the cache '{cache.Name}' have {cache.ObjectSizeBytes} bytes, not the {blockBytes} of the memory pool '{options.Name}'.", nameof(options));
        }

        Name = options.Name;
        _isShared = isShared;
        _heap = options.Heap ?? cache?.Heap ?? KmemHeap.Shared;
        ObjectDisposedException.ThrowIf(_heap.IsDisposed, _heap);
        ChecksLeases = options.CheckLeases;
        _blockBytes = blockBytes != 0 ? blockBytes : cache == null ? 0 : (int)cache.ObjectSizeBytes;
        if (cache == null && blockBytes != 0)
        {
            cache = new KmemCache(Name, (nuint)blockBytes, new KmemCacheOptions { Heap = _heap, AlignmentBytes = AlignmentOf(blockBytes) });
            _ownsCache = true;
        }

        _cache = cache;
        int shards = Math.Min(ShardsMax, (int)BitOperations.RoundUpToPowerOf2((uint)Environment.ProcessorCount));
        _shards = new LeaseShard[shards];
        for (int index = 0; index < shards; index++)
        {
            _shards[index] = new LeaseShard();
        }

        _listing = PoolDirectory.Add(this);
    }

    /// <summary>A pool of any size on the shared heap, for the whole process. It cannot be disposed.</summary>
    public static new SlabMemoryPool Shared => SharedPool.Instance;

    /// <summary>Name of the pool in messages and reports.</summary>
    public string Name { get; }

    /// <summary>The heap that the memory comes from.</summary>
    public KmemHeap Heap => _heap;

    /// <summary>The cache that blocks come from; null where any size is rented. Its statistics tell what is free.</summary>
    public KmemCache? Cache => _cache;

    /// <inheritdoc/>
    public override int MaxBufferSize => _blockBytes != 0 ? _blockBytes : int.MaxValue;

    /// <summary>
    /// Whether each lease from now on has an owner that is never used again and knows where it was rented and returned: every mistake is found then, with these stacks
    /// in its report. It costs an object and a look at the stack for each rent. May be changed at any time.
    /// </summary>
    public bool ChecksLeases { get; set; }

    /// <summary>Rents a block.</summary>
    /// <param name="minBufferSize">
    /// Bytes at least; -1 takes 4096, or what the pool's blocks have. A pool of blocks gives a whole block; another rounds up to what the heap would spend for it anyway.
    /// </param>
    /// <returns>The owner; its memory is as long as was said. Dispose it once, from any thread.</returns>
    /// <exception cref="ArgumentOutOfRangeException">More than <see cref="MaxBufferSize"/>, or less than -1.</exception>
    /// <exception cref="ObjectDisposedException">The pool was disposed.</exception>
    /// <exception cref="OutOfMemoryException">As for <see cref="Kmalloc.Alloc"/>.</exception>
    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        if (minBufferSize < -1 || minBufferSize > MaxBufferSize)
        {
            ThrowSize(minBufferSize);
        }

        int lengthBytes = _blockBytes != 0 ? _blockBytes : LengthFor(minBufferSize);
        SlabLease owner = TakeOwner(lengthBytes);
        try
        {
            // SAFETY: the owner gives the block away for its lease only, and its return frees it.
            owner.Begin((nuint)(_cache != null ? _cache.Alloc() : _heap.Alloc((nuint)lengthBytes)), lengthBytes);
        }
        catch
        {
            LetGo(owner, lengthBytes);
            throw;
        }

        return owner;
    }

    /// <summary>The counts of this moment. A rent or a return meanwhile may be in one of them and not in another.</summary>
    /// <returns>The counts.</returns>
    public SlabMemoryPoolStatistics GetStatistics()
    {
        long returns = 0;
        long rents = 0;
        long bytes = 0;
        int owners = _depot.OwnerCount;
        foreach (LeaseShard shard in _shards)
        {
            returns += shard.Returns;
        }

        // What was returned was rented before: read last, rents are never the fewer.
        foreach (LeaseShard shard in _shards)
        {
            rents += shard.Rents;
            bytes += shard.Bytes;
            owners += shard.Count;
        }

        return new SlabMemoryPoolStatistics
        {
            RentedBlocks = rents - returns,
            RentedBytes = Math.Max(bytes, 0),
            TotalRents = rents,
            TotalReturns = returns,
            PooledOwners = owners,
            OwnersCreated = Volatile.Read(ref _ownersCreated),
            LostLeases = Volatile.Read(ref _lostLeases),
        };
    }

    /// <inheritdoc/>
    public override string ToString() => $"memory pool '{Name}' of the heap '{_heap.Name}'";

    /// <summary>The lease ends.</summary>
    internal void Return(SlabLease owner)
    {
        nuint block = owner.End();
        if (block == 0)
        {
            LeaseReport.ReturnedTwice(this, owner);
        }

        int lengthBytes = owner.LengthBytes;
        if (owner.IsChecked)
        {
            owner.ReturnedAt = Diagnostics.StackDepot.Capture();
            owner.Retire();
        }

        try
        {
            // SAFETY: whoever took the address out of the owner is the only one who has it.
            if (_cache != null)
            {
                _cache.Free((void*)block);
            }
            else
            {
                _heap.Free((void*)block);
            }
        }
        finally
        {
            LetGo(owner, lengthBytes, isReturn: true);
        }
    }

    internal void ThrowReturned(SlabLease owner, string operation) => LeaseReport.UsedAfterReturn(this, owner, operation);

    /// <summary>In the finalizer's thread: the garbage collector found nobody who could return it.</summary>
    internal void NoticeLost(SlabLease owner)
    {
        _listing.CountLost();
        LeaseReport.Lost(this, owner, Interlocked.Increment(ref _lostLeases));
    }

    internal KmemMisusePolicy Policy => _heap.PolicyOf(0);

    /// <summary>Leases that outlive their heap have nothing left.</summary>
    internal bool IsHeapGone => _heap.IsDisposed;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (_isShared || !disposing)
        {
            return;
        }

        _isDisposed = true;
        foreach (LeaseShard shard in _shards)
        {
            // A rent that did not see this yet has counted itself before; one that comes later sees it.
            Enter(shard);
            shard.Clear();
            shard.Exit();
        }

        _depot.Clear();
        lock (_disposal)
        {
            _isClosed = true;
        }

        EndIfUnused();
    }

    private static nuint AlignmentOf(int blockBytes) => Math.Min((nuint)1 << BitOperations.TrailingZeroCount(blockBytes), KmemCache.AlignmentBytesMax);

    private int LengthFor(int minBufferSize)
    {
        nuint rounded = _heap.RoundUpSize(minBufferSize switch { -1 => DefaultBytes, 0 => 1, _ => (nuint)minBufferSize });
        return (int)Math.Min(rounded, int.MaxValue);
    }

    private SlabLease TakeOwner(int lengthBytes)
    {
        LeaseShard shard = EnterAny();
        if (_isDisposed)
        {
            shard.Exit();
            throw new ObjectDisposedException(ToString(), $"The memory pool '{Name}' was disposed: it rents no more.");
        }

        shard.CountRent(lengthBytes);
        SlabLease? owner = ChecksLeases ? null : shard.TakeOldest();
        shard.Exit();
        return owner ?? TakeOwnerSlow();
    }

    /// <summary>Too few wait here: others may have returned what was rented here.</summary>
    private SlabLease TakeOwnerSlow()
    {
        if (!ChecksLeases && _depot.Take() is SlabLease batch)
        {
            LeaseShard shard = EnterAny();
            shard.AddBatch(batch);
            SlabLease? oldest = shard.TakeOldest();
            shard.Exit();
            if (oldest != null)
            {
                return oldest;
            }
        }

        Interlocked.Increment(ref _ownersCreated);
        return ChecksLeases ? new SlabLease(this) { IsChecked = true, RentedAt = Diagnostics.StackDepot.Capture() } : new SlabLease(this);
    }

    /// <summary>The owner waits for its next lease.</summary>
    private void LetGo(SlabLease owner, int lengthBytes, bool isReturn = false)
    {
        LeaseShard shard = EnterAny();
        if (isReturn)
        {
            shard.CountReturn(lengthBytes);
        }
        else
        {
            shard.TakeBackRent(lengthBytes);
        }

        bool isDisposed = _isDisposed;
        SlabLease? batch = null;
        if (!owner.IsChecked && !isDisposed)
        {
            shard.Add(owner);
            batch = shard.TakeBatch();
        }

        shard.Exit();
        if (batch != null)
        {
            _depot.Put(batch);
        }

        if (isDisposed)
        {
            EndIfUnused();
        }
    }

    /// <summary>After the pool was disposed: with the last lease its cache goes, too.</summary>
    private void EndIfUnused()
    {
        lock (_disposal)
        {
            if (_isClosed && !_isGone && GetStatistics().RentedBlocks == 0)
            {
                _isGone = true;
                _listing.End();
                if (_ownsCache)
                {
                    _cache!.Dispose();
                }
            }
        }
    }

    /// <summary>The shard of this CPU, or one of the next that nobody is in.</summary>
    private LeaseShard EnterAny()
    {
        LeaseShard[] shards = _shards;
        int first = Thread.GetCurrentProcessorId();
        SpinWait spin = default;
        while (true)
        {
            for (int step = 0; step < shards.Length; step++)
            {
                LeaseShard shard = shards[(first + step) & (shards.Length - 1)];
                if (shard.TryEnter())
                {
                    return shard;
                }
            }

            spin.SpinOnce();
        }
    }

    private static void Enter(LeaseShard shard)
    {
        SpinWait spin = default;
        while (!shard.TryEnter())
        {
            spin.SpinOnce();
        }
    }

    private void ThrowSize(int minBufferSize) => throw new ArgumentOutOfRangeException(
        nameof(minBufferSize), minBufferSize, $"The memory pool '{Name}' rents 0 to {MaxBufferSize} bytes, or -1 for its own choice.");

    /// <summary>A holder of its own, so that other members do not make it.</summary>
    private static class SharedPool
    {
        public static readonly SlabMemoryPool Instance = new(new SlabMemoryPoolOptions { Name = "shared" }, isShared: true);
    }
}
