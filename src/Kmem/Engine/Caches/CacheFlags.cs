namespace Kmem.Engine.Caches;

/// <summary>Flags of a cache.</summary>
[System.Flags]
internal enum CacheFlags : ushort
{
    None = 0,

    /// <summary>A class of kmalloc.</summary>
    SizeClass = 1,

    /// <summary>A cache that the engine keeps magazines in.</summary>
    Internal = 2,

    /// <summary>Its objects have no bytes: their pages cannot be accessed. Every object is an address of its own all the same.</summary>
    Inaccessible = 4,

    /// <summary>Has the checked objects of another cache.</summary>
    Twin = 8,
}

internal enum CacheState : byte
{
    Unused = 0,
    Live = 1,
}
