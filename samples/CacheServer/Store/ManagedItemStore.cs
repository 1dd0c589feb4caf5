using System;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Threading;

namespace CacheServer.Store;

/// <summary>What most would write: a dictionary of strings and arrays. It is here to be compared with; it has no bound.</summary>
internal sealed class ManagedItemStore : IItemStore
{
    private const int HeaderBytes = 20;

    private readonly ConcurrentDictionary<string, byte[]> _items = new();
    private readonly long _started = Stopwatch.GetTimestamp();
    private long _version;
    private long _bytes;
    private uint _flushedAt;

    public uint Now => (uint)Stopwatch.GetElapsedTime(_started).TotalSeconds + 1;

    public long Items => _items.Count;

    public long Evictions => 0;

    public long Bytes => Volatile.Read(ref _bytes);

    public StoreStatus Store(StoreMode mode, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, uint flags, uint expiry, ulong expected, out ulong version)
    {
        string name = Encoding.Latin1.GetString(key);
        while (true)
        {
            version = 0;
            byte[]? existing = Find(name);
            if (expected != 0)
            {
                StoreStatus wrong = existing == null ? StoreStatus.NotFound : VersionOf(existing) != expected ? StoreStatus.Exists : StoreStatus.Done;
                if (wrong != StoreStatus.Done)
                {
                    return wrong;
                }
            }

            if ((mode == StoreMode.Add) == (existing != null) && mode != StoreMode.Set)
            {
                return mode == StoreMode.Add ? StoreStatus.Exists : StoreStatus.NotStored;
            }

            ReadOnlySpan<byte> before = mode is StoreMode.Append or StoreMode.Prepend ? ValueOf(existing!) : default;
            byte[] item = new byte[HeaderBytes + before.Length + value.Length];
            Span<byte> to = item.AsSpan(HeaderBytes);
            if (mode == StoreMode.Append)
            {
                before.CopyTo(to);
                value.CopyTo(to[before.Length..]);
            }
            else
            {
                value.CopyTo(to);
                before.CopyTo(to[value.Length..]);
            }

            bool joins = mode is StoreMode.Append or StoreMode.Prepend;
            version = WriteHeader(item, joins ? FlagsOf(existing!) : flags, joins ? ExpiryOf(existing!) : expiry);
            if (TryReplace(name, existing, item))
            {
                return StoreStatus.Done;
            }
        }
    }

    public bool TryGet<TReader>(ReadOnlySpan<byte> key, ref TReader reader)
        where TReader : struct, IItemReader, allows ref struct
    {
        byte[]? item = Find(Encoding.Latin1.GetString(key));
        if (item != null)
        {
            reader.Read(ValueOf(item), FlagsOf(item), VersionOf(item));
        }

        return item != null;
    }

    public StoreStatus Delete(ReadOnlySpan<byte> key, ulong expected)
    {
        string name = Encoding.Latin1.GetString(key);
        byte[]? item = Find(name);
        if (item == null || (expected != 0 && VersionOf(item) != expected))
        {
            return item == null ? StoreStatus.NotFound : StoreStatus.Exists;
        }

        Remove(name, item);
        return StoreStatus.Done;
    }

    public StoreStatus Count(ReadOnlySpan<byte> key, bool adds, ulong delta, ulong? initial, uint expiry, ulong expected, out ulong number, out ulong version)
    {
        string name = Encoding.Latin1.GetString(key);
        Span<byte> digits = stackalloc byte[20];
        while (true)
        {
            number = version = 0;
            byte[]? existing = Find(name);
            if (existing == null && initial == null)
            {
                return StoreStatus.NotFound;
            }

            if (existing != null && expected != 0 && VersionOf(existing) != expected)
            {
                return StoreStatus.Exists;
            }

            if (existing == null)
            {
                number = initial!.Value;
            }
            else if (!Utf8Parser.TryParse(ValueOf(existing), out ulong before, out int used) || used != existing.Length - HeaderBytes)
            {
                return StoreStatus.NotANumber;
            }
            else
            {
                number = adds ? before + delta : before > delta ? before - delta : 0;
                expiry = ExpiryOf(existing);
            }

            _ = Utf8Formatter.TryFormat(number, digits, out int count);
            byte[] item = new byte[HeaderBytes + count];
            digits[..count].CopyTo(item.AsSpan(HeaderBytes));
            version = WriteHeader(item, existing == null ? 0 : FlagsOf(existing), expiry);
            if (TryReplace(name, existing, item))
            {
                return StoreStatus.Done;
            }
        }
    }

    public void Flush(uint second)
    {
        _flushedAt = second;
        if (second == 0)
        {
            _items.Clear();
            _bytes = 0;
        }
    }

    private byte[]? Find(string name)
    {
        if (!_items.TryGetValue(name, out byte[]? item))
        {
            return null;
        }

        uint expiry = ExpiryOf(item);
        uint now = Now;
        if ((expiry != 0 && expiry <= now) || (_flushedAt != 0 && now >= _flushedAt && StoredAtOf(item) < _flushedAt))
        {
            Remove(name, item);
            return null;
        }

        return item;
    }

    private bool TryReplace(string name, byte[]? existing, byte[] item)
    {
        bool isDone = existing == null ? _items.TryAdd(name, item) : _items.TryUpdate(name, item, existing);
        if (isDone)
        {
            _ = Interlocked.Add(ref _bytes, item.Length - (existing?.Length ?? 0));
        }

        return isDone;
    }

    private void Remove(string name, byte[] item)
    {
        if (_items.TryRemove(new(name, item)))
        {
            _ = Interlocked.Add(ref _bytes, -item.Length);
        }
    }

    private ulong WriteHeader(byte[] item, uint flags, uint expiry)
    {
        ulong version = (ulong)Interlocked.Increment(ref _version);
        BinaryPrimitives.WriteUInt64LittleEndian(item, version);
        BinaryPrimitives.WriteUInt32LittleEndian(item.AsSpan(8), flags);
        BinaryPrimitives.WriteUInt32LittleEndian(item.AsSpan(12), expiry);
        BinaryPrimitives.WriteUInt32LittleEndian(item.AsSpan(16), Now);
        return version;
    }

    private static ReadOnlySpan<byte> ValueOf(byte[] item) => item.AsSpan(HeaderBytes);

    private static ulong VersionOf(byte[] item) => BinaryPrimitives.ReadUInt64LittleEndian(item);

    private static uint FlagsOf(byte[] item) => BinaryPrimitives.ReadUInt32LittleEndian(item.AsSpan(8));

    private static uint ExpiryOf(byte[] item) => BinaryPrimitives.ReadUInt32LittleEndian(item.AsSpan(12));

    private static uint StoredAtOf(byte[] item) => BinaryPrimitives.ReadUInt32LittleEndian(item.AsSpan(16));
}
