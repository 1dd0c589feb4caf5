namespace Kmem;

/// <summary>
/// A type whose objects are constructed and destroyed by its cache (<see cref="KmemCache.OfObjects{TObject}"/>). Both methods are compiled into the cache's calls: there is no delegate and no pointer to them at the call site.
/// </summary>
/// <typeparam name="TSelf">The type itself.</typeparam>
/// <remarks>
/// As in the kernel's slab allocator: an object is constructed when it leaves its slab and destroyed when it goes back there, not at each allocation. Whoever frees it leaves it in constructed state; the next
/// allocation gets it as it is.
/// </remarks>
public interface IKmemObject<TSelf>
    where TSelf : unmanaged, IKmemObject<TSelf>
{
    /// <summary>Brings an object into its constructed state. Its bytes are not initialised. What it throws reaches the caller of the allocation; the object goes back to its slab.</summary>
    /// <param name="self">The object.</param>
    public static abstract void Construct(ref TSelf self);

    /// <summary>Ends what construction began. Runs on any thread, also in maintenance; must not throw.</summary>
    /// <param name="self">The object.</param>
    public static abstract void Destroy(ref TSelf self);
}
