using System;
using System.Collections;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Kmem;

/// <summary>A dictionary whose entries are outside of the garbage collector's heap: however many there are, a collection does not look at them.</summary>
/// <typeparam name="TKey">A type without references that compares itself.</typeparam>
/// <typeparam name="TValue">A type without references.</typeparam>
/// <remarks>
/// <para>Behaves like <see cref="Dictionary{TKey, TValue}"/>, and gives references to its values besides. Those are not used after an entry was added, or the dictionary trimmed, cleared or disposed. One difference: who goes
/// through the entries must not remove any meanwhile. A key's own <c>Equals</c> must not change the dictionary.</para>
/// <para>Not thread-safe. A dictionary that is not disposed leaks; it has no finaliser, since a reference into it may still be in use.</para>
/// </remarks>
public sealed unsafe class NativeDictionary<TKey, TValue> : IDisposable, IReadOnlyCollection<KeyValuePair<TKey, TValue>>
    where TKey : unmanaged, IEquatable<TKey>
    where TValue : unmanaged
{
    private const int LeastEntries = 8;
    private const int MostEntries = 1 << 30;
    private const int End = -1;

    /// <summary>In <see cref="Entry.Next"/> of an entry that nobody has: the next free one, from here down.</summary>
    private const int StartOfFree = -3;

    private readonly KmemHeap _heap;

    /// <summary>A power of two of heads of chains, each an entry's number from 1; 0: none.</summary>
    private int* _buckets;

    private Entry* _entries;
    private int _capacity;

    /// <summary>Entries that were ever used since the last clear, and those of them that are free again.</summary>
    private int _used;

    private int _freeCount;
    private int _firstFree = End;
    private int _version;
    private bool _isDisposed;

    private struct Entry
    {
        public uint Hash;
        public int Next;
        public TKey Key;
        public TValue Value;
    }

    /// <summary>Makes an empty dictionary.</summary>
    /// <param name="capacity">Entries that there is room for; 0 waits for the first.</param>
    /// <param name="heap">The heap; null takes <see cref="KmemHeap.Shared"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">Negative, or more than 2³⁰.</exception>
    /// <exception cref="OutOfMemoryException">Memory is out.</exception>
    /// <exception cref="ObjectDisposedException">The heap was disposed.</exception>
    public NativeDictionary(int capacity = 0, KmemHeap? heap = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(capacity);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, MostEntries);
        _heap = heap ?? KmemHeap.Shared;
        if (capacity != 0)
        {
            Resize(capacity);
        }
    }

    /// <summary>Entries.</summary>
    public int Count => _used - _freeCount;

    /// <summary>Entries that there is room for.</summary>
    public int Capacity => _capacity;

    /// <summary>A value by its key. Setting adds or replaces.</summary>
    /// <param name="key">The key.</param>
    /// <exception cref="KeyNotFoundException">Getting: there is no such key.</exception>
    /// <exception cref="OutOfMemoryException">Setting: memory is out; nothing has changed.</exception>
    /// <exception cref="ObjectDisposedException">The dictionary or its heap was disposed.</exception>
    public TValue this[TKey key]
    {
        get
        {
            Entry* entry = Find(key, HashOf(key));
            return entry != null ? entry->Value : throw new KeyNotFoundException($"The key '{key}' is not in the {nameof(NativeDictionary<,>)}.");
        }

        set => GetValueRefOrAddDefault(key, out _) = value;
    }

    /// <summary>Adds an entry.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <exception cref="ArgumentException">The key is there already.</exception>
    /// <exception cref="OutOfMemoryException">Memory is out; nothing has changed.</exception>
    /// <exception cref="ObjectDisposedException">The dictionary or its heap was disposed.</exception>
    public void Add(TKey key, TValue value)
    {
        if (!TryAdd(key, value))
        {
            throw new ArgumentException($"The key '{key}' is in the {nameof(NativeDictionary<,>)} already.", nameof(key));
        }
    }

    /// <summary>Adds an entry unless its key is there.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <returns>Whether it was added.</returns>
    /// <exception cref="OutOfMemoryException">Memory is out; nothing has changed.</exception>
    /// <exception cref="ObjectDisposedException">The dictionary or its heap was disposed.</exception>
    public bool TryAdd(TKey key, TValue value)
    {
        ref TValue place = ref GetValueRefOrAddDefault(key, out bool exists);
        if (!exists)
        {
            place = value;
        }

        return !exists;
    }

    /// <summary>A value by its key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value, or its default.</param>
    /// <returns>Whether the key is there.</returns>
    /// <exception cref="ObjectDisposedException">The dictionary or its heap was disposed.</exception>
    public bool TryGetValue(TKey key, [MaybeNullWhen(false)] out TValue value)
    {
        Entry* entry = Find(key, HashOf(key));
        value = entry != null ? entry->Value : default;
        return entry != null;
    }

    /// <summary>Whether there is such a key.</summary>
    /// <param name="key">The key.</param>
    /// <returns>Whether it is there.</returns>
    /// <exception cref="ObjectDisposedException">The dictionary or its heap was disposed.</exception>
    public bool ContainsKey(TKey key) => Find(key, HashOf(key)) != null;

    /// <summary>A value itself, not a copy; added as its default if it is not there.</summary>
    /// <param name="key">The key.</param>
    /// <param name="exists">Whether it was there.</param>
    /// <returns>The value; not used after an entry was added, or the dictionary cleared or disposed.</returns>
    /// <exception cref="OutOfMemoryException">Memory is out; nothing has changed.</exception>
    /// <exception cref="ObjectDisposedException">The dictionary or its heap was disposed.</exception>
    public ref TValue GetValueRefOrAddDefault(TKey key, out bool exists)
    {
        // What a key's own hash throws leaves before anything has changed.
        uint hash = HashOf(key);
        Entry* entry = Find(key, hash);
        exists = entry != null;
        if (!exists)
        {
            entry = AddNew(key, hash);
        }

        return ref entry->Value;
    }

    /// <summary>A value itself, not a copy; a null reference (<see cref="Unsafe.IsNullRef{T}(ref readonly T)"/>) if it is not there.</summary>
    /// <param name="key">The key.</param>
    /// <returns>As for <see cref="GetValueRefOrAddDefault"/>.</returns>
    /// <exception cref="ObjectDisposedException">The dictionary or its heap was disposed.</exception>
    public ref TValue GetValueRefOrNullRef(TKey key)
    {
        Entry* entry = Find(key, HashOf(key));
        return ref entry != null ? ref entry->Value : ref Unsafe.NullRef<TValue>();
    }

    /// <summary>Takes an entry out.</summary>
    /// <param name="key">Its key.</param>
    /// <returns>Whether it was there.</returns>
    /// <exception cref="ObjectDisposedException">The dictionary or its heap was disposed.</exception>
    public bool Remove(TKey key) => Remove(key, out _);

    /// <summary>Takes an entry out.</summary>
    /// <param name="key">Its key.</param>
    /// <param name="value">The value that it had, or its default.</param>
    /// <returns>Whether it was there.</returns>
    /// <exception cref="ObjectDisposedException">The dictionary or its heap was disposed.</exception>
    public bool Remove(TKey key, out TValue value)
    {
        ThrowIfDisposed();
        value = default;
        if (_buckets == null)
        {
            return false;
        }

        uint hash = HashOf(key);
        int* link = &_buckets[hash >> ShiftFor(_capacity)];
        int previous = End;
        for (int index = *link - 1; index != End; previous = index, index = _entries[index].Next)
        {
            Entry* entry = _entries + index;
            if (entry->Hash != hash || !entry->Key.Equals(key))
            {
                continue;
            }

            if (previous == End)
            {
                *link = entry->Next + 1;
            }
            else
            {
                _entries[previous].Next = entry->Next;
            }

            value = entry->Value;
            entry->Next = StartOfFree - _firstFree;
            _firstFree = index;
            _freeCount++;
            _version++;
            return true;
        }

        return false;
    }

    /// <summary>Forgets all entries and keeps the memory.</summary>
    /// <exception cref="ObjectDisposedException">The dictionary or its heap was disposed.</exception>
    public void Clear()
    {
        ThrowIfDisposed();
        if (_buckets != null)
        {
            new Span<int>(_buckets, _capacity).Clear();
        }

        _used = _freeCount = 0;
        _firstFree = End;
        _version++;
    }

    /// <summary>Makes room for so many entries in all.</summary>
    /// <param name="capacity">Entries.</param>
    /// <exception cref="ArgumentOutOfRangeException">Negative, or more than 2³⁰.</exception>
    /// <exception cref="OutOfMemoryException">Memory is out; nothing has changed.</exception>
    /// <exception cref="ObjectDisposedException">The dictionary or its heap was disposed.</exception>
    public void EnsureCapacity(int capacity)
    {
        ThrowIfDisposed();
        ArgumentOutOfRangeException.ThrowIfNegative(capacity);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, MostEntries);
        if (capacity > _capacity)
        {
            Resize(capacity);
            _version++;
        }
    }

    /// <summary>Gives back what memory the entries do not need. Needs none itself.</summary>
    /// <exception cref="ObjectDisposedException">The dictionary or its heap was disposed.</exception>
    public void TrimExcess()
    {
        ThrowIfDisposed();
        int count = Count;
        int capacity = count == 0 ? 0 : CapacityFor(count);
        if (capacity == _capacity)
        {
            return;
        }

        // Entries move up into the gaps; those behind the last one are then nobody's.
        int next = 0;
        for (int index = 0; index < _used; index++)
        {
            if (_entries[index].Next >= End)
            {
                _entries[next++] = _entries[index];
            }
        }

        (_used, _freeCount, _firstFree, _capacity) = (count, 0, End, capacity);
        _version++;
        if (count == 0)
        {
            _heap.Free(_buckets);
            _heap.Free(_entries);
            _buckets = null;
            _entries = null;
            return;
        }

        // The dictionary is whole before memory changes its size.
        new Span<int>(_buckets, capacity).Clear();
        LinkAll();
        _buckets = (int*)_heap.Realloc(_buckets, (nuint)capacity * sizeof(int));
        _entries = (Entry*)_heap.Realloc(_entries, (nuint)capacity * (nuint)sizeof(Entry));
    }

    /// <summary>Frees the memory. The second time, and when the heap was disposed, it does nothing.</summary>
    public void Dispose()
    {
        if (!_isDisposed)
        {
            _isDisposed = true;
            _heap.FreeOfOwner(_buckets);
            _heap.FreeOfOwner(_entries);
            _buckets = null;
            _entries = null;
            _capacity = _used = _freeCount = 0;
            _version++;
        }
    }

    /// <summary>The entries in no certain order.</summary>
    /// <returns>An enumerator that finds changes of the dictionary meanwhile.</returns>
    /// <exception cref="ObjectDisposedException">The dictionary or its heap was disposed.</exception>
    public Enumerator GetEnumerator()
    {
        ThrowIfDisposed();
        return new Enumerator(this);
    }

    IEnumerator<KeyValuePair<TKey, TValue>> IEnumerable<KeyValuePair<TKey, TValue>>.GetEnumerator() => GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>The high bits of a product with an odd number are spread well, whatever the key's own hash is.</summary>
    private static uint HashOf(TKey key) => (uint)key.GetHashCode() * 0x9E3779B1u;

    private static int CapacityFor(int entries) => (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(entries, LeastEntries));

    private static int ShiftFor(int capacity) => 32 - BitOperations.Log2((uint)capacity);

    private Entry* Find(TKey key, uint hash)
    {
        ThrowIfDisposed();
        if (_buckets == null)
        {
            return null;
        }

        for (int index = _buckets[hash >> ShiftFor(_capacity)] - 1; index != End; index = _entries[index].Next)
        {
            Entry* entry = _entries + index;
            if (entry->Hash == hash && entry->Key.Equals(key))
            {
                return entry;
            }
        }

        return null;
    }

    private Entry* AddNew(TKey key, uint hash)
    {
        int index;
        if (_freeCount != 0)
        {
            index = _firstFree;
            _firstFree = StartOfFree - _entries[index].Next;
            _freeCount--;
        }
        else
        {
            if (_used == _capacity)
            {
                Resize(_capacity < MostEntries ? Math.Max(_capacity * 2, LeastEntries) : throw new OutOfMemoryException($"A {nameof(NativeDictionary<,>)} has {MostEntries} entries at most."));
            }

            index = _used++;
        }

        int* bucket = &_buckets[hash >> ShiftFor(_capacity)];
        _entries[index] = new Entry { Hash = hash, Next = *bucket - 1, Key = key };
        *bucket = index + 1;
        _version++;
        return _entries + index;
    }

    /// <summary>As many buckets as entries, a power of two. Without memory nothing changes.</summary>
    private void Resize(int wanted)
    {
        int capacity = CapacityFor(wanted);
        int* buckets = (int*)_heap.AllocZeroed((nuint)capacity * sizeof(int));
        try
        {
            _entries = (Entry*)_heap.Realloc(_entries, (nuint)capacity * (nuint)sizeof(Entry));
        }
        catch
        {
            _heap.Free(buckets);
            throw;
        }

        _heap.Free(_buckets);
        _buckets = buckets;
        _capacity = capacity;
        LinkAll();
    }

    /// <summary>Puts every entry into the chain of its bucket. The buckets are empty.</summary>
    private void LinkAll()
    {
        for (int index = 0; index < _used; index++)
        {
            Entry* entry = _entries + index;
            if (entry->Next >= End)
            {
                int* bucket = &_buckets[entry->Hash >> ShiftFor(_capacity)];
                entry->Next = *bucket - 1;
                *bucket = index + 1;
            }
        }
    }

    private void ThrowIfDisposed()
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        _heap.ThrowIfGone(this);
    }

    /// <summary>Goes through the entries of a dictionary.</summary>
    public struct Enumerator : IEnumerator<KeyValuePair<TKey, TValue>>
    {
        private readonly NativeDictionary<TKey, TValue> _dictionary;
        private readonly int _version;
        private int _next;

        internal Enumerator(NativeDictionary<TKey, TValue> dictionary)
        {
            _dictionary = dictionary;
            _version = dictionary._version;
        }

        /// <inheritdoc/>
        public KeyValuePair<TKey, TValue> Current { get; private set; }

        readonly object IEnumerator.Current => Current;

        /// <inheritdoc/>
        /// <exception cref="InvalidOperationException">The dictionary was changed or disposed.</exception>
        /// <exception cref="ObjectDisposedException">Its heap was disposed.</exception>
        public bool MoveNext()
        {
            if (_version != _dictionary._version)
            {
                throw new InvalidOperationException($"The {nameof(NativeDictionary<,>)} was changed or disposed while it was gone through.");
            }

            _dictionary._heap.ThrowIfGone(_dictionary);
            while (_next < _dictionary._used)
            {
                Entry* entry = _dictionary._entries + _next++;
                if (entry->Next >= End)
                {
                    Current = new KeyValuePair<TKey, TValue>(entry->Key, entry->Value);
                    return true;
                }
            }

            Current = default;
            return false;
        }

        /// <inheritdoc/>
        public void Reset() => _next = 0;

        /// <inheritdoc/>
        public readonly void Dispose()
        {
        }
    }
}
