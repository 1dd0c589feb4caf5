using System;
using System.Diagnostics;
using Kmem;

namespace CacheServer.Store;

/// <summary>Items in Kmem: the garbage collector sees a few hundred objects, whatever is in the cache. Shards by the hash of the key, each with a lock.</summary>
internal sealed class KmemItemStore : IItemStore, IDisposable
{
    private const int ShardBits = 8;

    private readonly KmemHeap _heap;
    private readonly KmemShard[] _shards = new KmemShard[1 << ShardBits];
    private readonly long _started = Stopwatch.GetTimestamp();

    public KmemItemStore(KmemHeap heap, long capacityBytes)
    {
        _heap = heap;
        for (int index = 0; index < _shards.Length; index++)
        {
            _shards[index] = new KmemShard(heap, capacityBytes / _shards.Length);
        }
    }

    public uint Now => (uint)Stopwatch.GetElapsedTime(_started).TotalSeconds + 1;

    public long Items => Sum(static shard => shard.Items);

    public long Evictions => Sum(static shard => shard.Evictions);

    public long Bytes => Sum(static shard => shard.Bytes);

    public StoreStatus Store(StoreMode mode, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, uint flags, uint expiry, ulong expected, out ulong version) =>
        ShardOf(key, out ulong hash).Store(mode, key, hash, value, flags, expiry, expected, Now, out version);

    public bool TryGet<TReader>(ReadOnlySpan<byte> key, ref TReader reader)
        where TReader : struct, IItemReader, allows ref struct => ShardOf(key, out ulong hash).TryGet(key, hash, Now, ref reader);

    public StoreStatus Delete(ReadOnlySpan<byte> key, ulong expected) => ShardOf(key, out ulong hash).Delete(key, hash, expected, Now);

    public StoreStatus Count(ReadOnlySpan<byte> key, bool adds, ulong delta, ulong? initial, uint expiry, ulong expected, out ulong number, out ulong version) =>
        ShardOf(key, out ulong hash).Count(key, hash, adds, delta, initial, expiry, expected, Now, out number, out version);

    public void Flush(uint second) => Array.ForEach(_shards, shard => shard.Flush(second));

    public void Dispose()
    {
        Array.ForEach(_shards, static shard => shard.Dispose());
        _heap.Dispose();
    }

    private KmemShard ShardOf(ReadOnlySpan<byte> key, out ulong hash)
    {
        hash = KeyHash.Of(key);
        return _shards[hash >> (64 - ShardBits)];
    }

    private long Sum(Func<KmemShard, long> figure)
    {
        long sum = 0;
        foreach (KmemShard shard in _shards)
        {
            sum += figure(shard);
        }

        return sum;
    }
}
