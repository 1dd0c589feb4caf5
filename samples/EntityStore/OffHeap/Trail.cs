using System.Numerics;
using System.Runtime.CompilerServices;
using System.Threading;
using Kmem;

namespace EntityStore.OffHeap;

/// <summary>
/// Where an entity was lately. Too large to be moved about with its place, so it is an object of a cache, and stays where it is. It is constructed when it leaves its slab, and then serves one entity
/// after the other: who frees it leaves it empty, as the constructor does.
/// </summary>
internal struct Trail : IKmemObject<Trail>
{
    public const int Length = 16;

    private static long s_constructed;

    private Points _points;
    private int _next;

    [InlineArray(Length)]
    private struct Points
    {
        private Vector2 _first;
    }

    /// <summary>Trails that were constructed so far.</summary>
    public static long Constructed => Volatile.Read(ref s_constructed);

    /// <summary>Points that it has seen.</summary>
    public readonly int Seen => _next;

    /// <summary>The oldest point that it knows; only when it has seen one.</summary>
    public readonly Vector2 Oldest => _points[_next <= Length ? 0 : _next % Length];

    public void Add(Vector2 point) => _points[_next++ % Length] = point;

    public void Clear() => _next = 0;

    public static void Construct(ref Trail self)
    {
        self = default;
        _ = Interlocked.Increment(ref s_constructed);
    }

    public static void Destroy(ref Trail self)
    {
        // It holds nothing.
    }
}

/// <summary>A trail that an entity holds, as a component. Whoever removes the entity frees it.</summary>
internal readonly unsafe struct TrailReference
{
    private readonly Trail* _trail;

    private TrailReference(Trail* trail) => _trail = trail;

    public ref Trail Value => ref *_trail;

    public static TrailReference Take(KmemCache<Trail> cache) => new(cache.Alloc());

    public void Free(KmemCache<Trail> cache)
    {
        _trail->Clear();
        cache.Free(_trail);
    }
}
