using System;

namespace CacheServer.Store;

/// <summary>How an item is stored.</summary>
internal enum StoreMode
{
    Set,
    Add,
    Replace,
    Append,
    Prepend,
}

/// <summary>What became of a request.</summary>
internal enum StoreStatus
{
    Done,
    NotFound,
    Exists,
    NotStored,
    NotANumber,
    TooLarge,
    OutOfMemory,
}

/// <summary>Gets an item while nobody can change it.</summary>
internal interface IItemReader
{
    public void Read(ReadOnlySpan<byte> value, uint flags, ulong version);
}

/// <summary>Items by key, each with flags, a version ("cas") and a time at which it ends.</summary>
internal interface IItemStore
{
    /// <param name="mode">How.</param>
    /// <param name="key">Up to 250 bytes.</param>
    /// <param name="value">The bytes.</param>
    /// <param name="flags">The client's own; unchanged by append and prepend.</param>
    /// <param name="expiry">Second of the store's clock at which the item ends; 0: never.</param>
    /// <param name="expected">The version that the item must have; 0: any.</param>
    /// <param name="version">The new one.</param>
    public StoreStatus Store(StoreMode mode, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, uint flags, uint expiry, ulong expected, out ulong version);

    /// <summary>Calls the reader if the item is there.</summary>
    public bool TryGet<TReader>(ReadOnlySpan<byte> key, ref TReader reader)
        where TReader : struct, IItemReader, allows ref struct;

    public StoreStatus Delete(ReadOnlySpan<byte> key, ulong expected);

    /// <summary>Adds to a decimal number, modulo 2^64, or subtracts down to 0. With <paramref name="initial"/> the item is made if it is not there.</summary>
    public StoreStatus Count(ReadOnlySpan<byte> key, bool adds, ulong delta, ulong? initial, uint expiry, ulong expected, out ulong number, out ulong version);

    /// <summary>Ends all items that were stored before that second; 0: all.</summary>
    public void Flush(uint second);

    /// <summary>Seconds since the server started, from 1.</summary>
    public uint Now { get; }

    public long Items { get; }

    public long Evictions { get; }

    /// <summary>Bytes of the items with everything that the store keeps for them.</summary>
    public long Bytes { get; }
}
