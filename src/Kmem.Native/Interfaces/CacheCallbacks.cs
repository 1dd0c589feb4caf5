using Kmem.Engine.Caches;
using Kmem.Engine.Sized;

namespace Kmem.Native;

/// <summary>How the C functions of a cache want to be called.</summary>
internal enum CallbackStyle : uint
{
    /// <summary><c>void ctor(object)</c>, as in Linux.</summary>
    Linux,

    /// <summary><c>int ctor(object, context, flags)</c>, as in libumem and illumos: not 0 refuses.</summary>
    Illumos,
}

/// <summary>
/// The C functions of a cache, and between them and the engine's. A cache's context points here; it lives in the same heap and goes
/// with the cache.
/// </summary>
internal unsafe struct CacheCallbacks
{
    public CallbackStyle Style;
    public void* Constructor;
    public void* Destructor;
    public void* Reclaim;
    public void* Context;

    public static bool Attach(SizedHeap* heap, CacheDefinition* definition, CacheCallbacks callbacks)
    {
        CacheCallbacks* kept = (CacheCallbacks*)SizedHeap.Allocate(heap, (nuint)sizeof(CacheCallbacks));
        if (kept == null)
        {
            return false;
        }

        *kept = callbacks;
        definition->Context = kept;
        definition->Constructor = callbacks.Constructor == null ? null : &Construct;
        definition->Destructor = callbacks.Destructor == null ? null : &Destroy;
        return true;
    }

    private static bool Construct(void* memory, void* context)
    {
        CacheCallbacks* callbacks = (CacheCallbacks*)context;
        if (callbacks->Style == CallbackStyle.Linux)
        {
            ((delegate* unmanaged[SuppressGCTransition]<void*, void>)callbacks->Constructor)(memory);
            return true;
        }

        return ((delegate* unmanaged[SuppressGCTransition]<void*, void*, int, int>)callbacks->Constructor)(memory, callbacks->Context, 0) == 0;
    }

    private static void Destroy(void* memory, void* context)
    {
        CacheCallbacks* callbacks = (CacheCallbacks*)context;
        ((delegate* unmanaged[SuppressGCTransition]<void*, void*, void>)callbacks->Destructor)(memory, callbacks->Context);
    }
}
