namespace Kmem.Engine.Caches;

/// <summary>What the face is told of a sampled object or large run.</summary>
internal struct SampleFacts
{
    public uint Stack;

    /// <summary>Bytes that the place of an object was charged; 0: it is a large run of pages, which stands for itself.</summary>
    public nuint StrideBytes;

    public nuint CapacityBytes;
    public nuint RequestedBytes;
}
