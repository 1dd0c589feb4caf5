using System;

namespace Kmem;

/// <summary>Caches of objects that construct themselves.</summary>
public sealed unsafe partial class KmemCache
{
    /// <summary>Makes a cache of objects that construct and destroy themselves: <see cref="IKmemObject{TSelf}"/>.</summary>
    /// <typeparam name="TObject">The type of the cache.</typeparam>
    /// <param name="name">Name in reports; null takes the type's name.</param>
    /// <param name="options">Settings; null takes the defaults. Constructor, destructor and context are the type's: they must not be set.</param>
    /// <returns>The cache.</returns>
    /// <exception cref="ArgumentException">As for the constructor of <see cref="KmemCache{T}"/>; or a constructor, destructor or context is set.</exception>
    /// <exception cref="OutOfMemoryException">No memory, or the heap has 8192 caches already.</exception>
    public static KmemCache<TObject> OfObjects<TObject>(string? name = null, KmemCacheOptions? options = null)
        where TObject : unmanaged, IKmemObject<TObject>
    {
        options ??= new KmemCacheOptions();
        if (options.Constructor != null || options.Destructor != null || options.Context != null)
        {
            throw new ArgumentException($"Objects of {typeof(TObject).Name} construct themselves: a constructor, a destructor or a context in the options is one too many.", nameof(options));
        }

        KmemCacheOptions own = new()
        {
            Heap = options.Heap,
            AlignmentBytes = options.AlignmentBytes,
            Flags = options.Flags,
            MisusePolicy = options.MisusePolicy,
            SlabRule = options.SlabRule,
            MagazineCapacity = options.MagazineCapacity,
            Constructor = &Construct<TObject>,
            Destructor = &Destroy<TObject>,
        };
        return new KmemCache<TObject>(new KmemCache(name ?? typeof(TObject).Name, (nuint)sizeof(TObject), own));
    }

    private static bool Construct<TObject>(void* self, void* context)
        where TObject : unmanaged, IKmemObject<TObject>
    {
        TObject.Construct(ref *(TObject*)self);
        return true;
    }

    private static void Destroy<TObject>(void* self, void* context)
        where TObject : unmanaged, IKmemObject<TObject> => TObject.Destroy(ref *(TObject*)self);
}
