using System.Runtime.InteropServices;
using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>Whose the page of a slot is. What is not <see cref="Unused"/> has a text that the handler of faults writes.</summary>
internal enum GuardState : uint
{
    /// <summary>Nobody had it yet, or it is being given to somebody.</summary>
    Unused = 0,

    /// <summary>In somebody's hands.</summary>
    Live = 1,

    /// <summary>Somebody is just freeing it.</summary>
    Leaving = 2,

    /// <summary>Freed; its page cannot be accessed.</summary>
    Freed = 3,

    /// <summary>In somebody's hands, and somebody else just looks whether it is whole: who frees it waits for that.</summary>
    LookedAt = 4,
}

/// <summary>What is known of one guarded object, beside the pool: the object's page has nothing but the object. The handler of faults reads the first two words and the text.</summary>
[StructLayout(LayoutKind.Explicit, Size = SizeBytes)]
internal unsafe struct GuardSlot
{
    public const int SizeBytes = 4096;
    public const int TextBytesMax = SizeBytes - FaultHandler.TextOffset;

    [FieldOffset(0)]
    public uint State;

    [FieldOffset(4)]
    public int TextBytes;

    /// <summary>Where the object starts.</summary>
    [FieldOffset(8)]
    public nuint Object;

    /// <summary>The twin that it belongs to. Stays after the free.</summary>
    [FieldOffset(16)]
    public int CacheIndex;

    /// <summary>The slot that was freed next, counted from 1; 0 ends the queue. Guarded by the pool's lock.</summary>
    [FieldOffset(20)]
    public int Next;

    /// <summary>Who allocated and freed it. Its state is not used.</summary>
    [FieldOffset(24)]
    public ObjectTrack Track;

    /// <summary>UTF-8.</summary>
    [FieldOffset(FaultHandler.TextOffset)]
    public fixed byte Text[TextBytesMax];
}
