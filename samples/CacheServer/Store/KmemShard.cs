using System;
using System.Buffers.Text;
using System.Threading;
using Kmem;

namespace CacheServer.Store;

/// <summary>One part of the store. An item is one block of Kmem, header, key and value; the shard's table is another.</summary>
internal sealed unsafe class KmemShard : IDisposable
{
    private const nuint FirstBuckets = 256;
    private const int NumberBytesMax = 20;

    private readonly KmemHeap _heap;
    private readonly long _capacityBytes;
    private readonly Lock _lock = new();
    private Item** _buckets;
    private nuint _bucketCount;
    private Item* _newest;
    private Item* _oldest;
    private ulong _version;

    /// <summary>Items that were stored before are gone from then on; 0: none is.</summary>
    private uint _flushedAt;

    /// <summary>What a block begins with; the key follows, then the value.</summary>
    private struct Item
    {
        public Item* Next;
        public Item* Older;
        public Item* Newer;
        public ulong Hash;
        public ulong Version;
        public uint Flags;
        public uint Expiry;
        public uint StoredAt;
        public int ValueBytes;
        public int KeyBytes;

        public static ReadOnlySpan<byte> KeyOf(Item* item) => new((byte*)item + sizeof(Item), item->KeyBytes);

        public static Span<byte> ValueOf(Item* item) => new((byte*)item + sizeof(Item) + item->KeyBytes, item->ValueBytes);

        public static nuint BytesFor(int keyBytes, int valueBytes) => (nuint)(sizeof(Item) + keyBytes + valueBytes);
    }

    public KmemShard(KmemHeap heap, long capacityBytes)
    {
        _heap = heap;
        _capacityBytes = capacityBytes;
        _bucketCount = FirstBuckets;
        _buckets = (Item**)heap.AllocZeroed(FirstBuckets * (nuint)sizeof(Item*));
        Bytes = (long)(FirstBuckets * (nuint)sizeof(Item*));
    }

    public long Items { get; private set; }

    public long Evictions { get; private set; }

    public long Bytes { get; private set; }

    public StoreStatus Store(StoreMode mode, ReadOnlySpan<byte> key, ulong hash, ReadOnlySpan<byte> value, uint flags, uint expiry, ulong expected, uint now, out ulong version)
    {
        lock (_lock)
        {
            version = 0;
            Item* existing = Find(key, hash, now);
            if (expected != 0)
            {
                StoreStatus wrong = existing == null ? StoreStatus.NotFound : existing->Version != expected ? StoreStatus.Exists : StoreStatus.Done;
                if (wrong != StoreStatus.Done)
                {
                    return wrong;
                }
            }

            if ((mode == StoreMode.Add) == (existing != null) && mode != StoreMode.Set)
            {
                return mode == StoreMode.Add ? StoreStatus.Exists : StoreStatus.NotStored;
            }

            bool joins = mode is StoreMode.Append or StoreMode.Prepend;
            Item* item = Create(key, hash, value.Length + (joins ? existing->ValueBytes : 0), joins ? existing->Flags : flags, joins ? existing->Expiry : expiry, now, &existing);
            if (item == null)
            {
                return StoreStatus.OutOfMemory;
            }

            Span<byte> to = Item.ValueOf(item);
            if (joins)
            {
                Span<byte> before = Item.ValueOf(existing);
                before.CopyTo(mode == StoreMode.Append ? to : to[value.Length..]);
                to = mode == StoreMode.Append ? to[before.Length..] : to;
            }

            value.CopyTo(to);
            if (existing != null)
            {
                Remove(existing);
            }

            Insert(item);
            version = item->Version;
            return StoreStatus.Done;
        }
    }

    public bool TryGet<TReader>(ReadOnlySpan<byte> key, ulong hash, uint now, ref TReader reader)
        where TReader : struct, IItemReader, allows ref struct
    {
        lock (_lock)
        {
            Item* item = Find(key, hash, now);
            if (item == null)
            {
                return false;
            }

            Touch(item);
            reader.Read(Item.ValueOf(item), item->Flags, item->Version);
            return true;
        }
    }

    public StoreStatus Delete(ReadOnlySpan<byte> key, ulong hash, ulong expected, uint now)
    {
        lock (_lock)
        {
            Item* item = Find(key, hash, now);
            if (item == null || (expected != 0 && item->Version != expected))
            {
                return item == null ? StoreStatus.NotFound : StoreStatus.Exists;
            }

            Remove(item);
            return StoreStatus.Done;
        }
    }

    public StoreStatus Count(ReadOnlySpan<byte> key, ulong hash, bool adds, ulong delta, ulong? initial, uint expiry, ulong expected, uint now, out ulong number, out ulong version)
    {
        lock (_lock)
        {
            number = version = 0;
            Item* item = Find(key, hash, now);
            if (item == null && initial == null)
            {
                return StoreStatus.NotFound;
            }

            if (item != null && expected != 0 && item->Version != expected)
            {
                return StoreStatus.Exists;
            }

            if (item == null)
            {
                number = initial!.Value;
            }
            else if (!TryReadNumber(Item.ValueOf(item), out ulong before))
            {
                return StoreStatus.NotANumber;
            }
            else
            {
                number = adds ? before + delta : before > delta ? before - delta : 0;
                expiry = item->Expiry;
            }

            Span<byte> digits = stackalloc byte[NumberBytesMax];
            _ = Utf8Formatter.TryFormat(number, digits, out int count);
            Item* counted = Create(key, hash, count, item == null ? 0 : item->Flags, expiry, now, &item);
            if (counted == null)
            {
                return StoreStatus.OutOfMemory;
            }

            digits[..count].CopyTo(Item.ValueOf(counted));
            if (item != null)
            {
                Remove(item);
            }

            Insert(counted);
            version = counted->Version;
            return StoreStatus.Done;
        }
    }

    public void Flush(uint second)
    {
        lock (_lock)
        {
            _flushedAt = second;
            while (second == 0 && _newest != null)
            {
                Remove(_newest);
            }
        }
    }

    public void Dispose()
    {
        Flush(0);
        _heap.Free(_buckets);
    }

    private static bool TryReadNumber(ReadOnlySpan<byte> text, out ulong number) => Utf8Parser.TryParse(text, out number, out int used) && used == text.Length;

    /// <summary>A block outside of the table. Old items make way, but not <paramref name="kept"/>.</summary>
    private Item* Create(ReadOnlySpan<byte> key, ulong hash, int valueBytes, uint flags, uint expiry, uint now, Item** kept)
    {
        nuint bytes = Item.BytesFor(key.Length, valueBytes);
        Item* victim = _oldest;
        while (victim != null && Bytes + (long)bytes > _capacityBytes)
        {
            Item* newer = victim->Newer;
            if (victim != *kept)
            {
                Remove(victim);
                Evictions++;
            }

            victim = newer;
        }

        Item* item = (Item*)_heap.TryAlloc(bytes);
        if (item != null)
        {
            *item = new Item
            {
                Hash = hash,
                Version = ++_version,
                Flags = flags,
                Expiry = expiry,
                StoredAt = now,
                KeyBytes = key.Length,
                ValueBytes = valueBytes,
            };
            key.CopyTo(new Span<byte>((byte*)item + sizeof(Item), key.Length));
        }

        return item;
    }

    private Item* Find(ReadOnlySpan<byte> key, ulong hash, uint now)
    {
        for (Item* item = _buckets[hash & (_bucketCount - 1)]; item != null; item = item->Next)
        {
            if (item->Hash == hash && Item.KeyOf(item).SequenceEqual(key))
            {
                bool isOver = (item->Expiry != 0 && item->Expiry <= now) || (_flushedAt != 0 && now >= _flushedAt && item->StoredAt < _flushedAt);
                if (isOver)
                {
                    Remove(item);
                    return null;
                }

                return item;
            }
        }

        return null;
    }

    private void Insert(Item* item)
    {
        if ((nuint)Items >= _bucketCount)
        {
            Grow();
        }

        Item** bucket = &_buckets[item->Hash & (_bucketCount - 1)];
        item->Next = *bucket;
        *bucket = item;
        LinkAsNewest(item);
        Items++;
        Bytes += (long)Item.BytesFor(item->KeyBytes, item->ValueBytes);
    }

    private void Remove(Item* item)
    {
        Item** link = &_buckets[item->Hash & (_bucketCount - 1)];
        while (*link != item)
        {
            link = &(*link)->Next;
        }

        *link = item->Next;
        Unlink(item);
        Items--;
        Bytes -= (long)Item.BytesFor(item->KeyBytes, item->ValueBytes);
        _heap.Free(item);
    }

    private void Touch(Item* item)
    {
        if (item != _newest)
        {
            Unlink(item);
            LinkAsNewest(item);
        }
    }

    private void LinkAsNewest(Item* item)
    {
        item->Newer = null;
        item->Older = _newest;
        if (_newest != null)
        {
            _newest->Newer = item;
        }

        _newest = item;
        _oldest = _oldest == null ? item : _oldest;
    }

    private void Unlink(Item* item)
    {
        if (item->Newer != null)
        {
            item->Newer->Older = item->Older;
        }
        else
        {
            _newest = item->Older;
        }

        if (item->Older != null)
        {
            item->Older->Newer = item->Newer;
        }
        else
        {
            _oldest = item->Newer;
        }
    }

    /// <summary>A shard is small enough for that to be done at once. Without memory the chains grow instead.</summary>
    private void Grow()
    {
        nuint count = _bucketCount * 2;
        nuint bytes = count * (nuint)sizeof(Item*);
        Item** buckets = (Item**)_heap.TryAlloc(bytes);
        if (buckets == null)
        {
            return;
        }

        new Span<nint>(buckets, (int)count).Clear();
        for (nuint index = 0; index < _bucketCount; index++)
        {
            Item* next;
            for (Item* item = _buckets[index]; item != null; item = next)
            {
                next = item->Next;
                Item** bucket = &buckets[item->Hash & (count - 1)];
                item->Next = *bucket;
                *bucket = item;
            }
        }

        _heap.Free(_buckets);
        Bytes += (long)(bytes / 2);
        _buckets = buckets;
        _bucketCount = count;
    }
}
