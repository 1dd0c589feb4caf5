using Kmem.Engine.Primitives;

namespace Kmem.Engine.Slabs;

// Theory of checked objects.
//
// A checked slab is a slab like any other, cut at a longer stride: around each object lies what tells of mistakes.
//
//      | lead | object | right zone | track | left zone | object | right zone | track | left zone | … | tail |
//
// The zones have one value while the object is in somebody's hands and another while it is not; the right one begins where the requested bytes
// end. A free object is poisoned: what is not poison when the object leaves its slab was written after the free. The track says what was
// asked for, and who allocated and freed the object last. The left zone is the rest of the stride of the object before; the first one's is the
// end of the lead, which is a multiple of the alignment, so that objects are aligned as they are without checks.
//
//      letter          zones   track   poison
//      F  consistency                          the bits and descriptors of the slab are recounted at each allocation and free
//      Z  red zones      x       16
//      P  poison                          x
//      U  users                  40
//
// An object's address in a checked slab satisfies the same test as in others (Slab.cs), since a page's descriptor counts from the first
// object and not from the start of the slab.

/// <summary>What is checked in a cache: the letters of the kernel's <c>slab_debug</c>.</summary>
[System.Flags]
internal enum CacheChecks : ushort
{
    None = 0,

    /// <summary>F.</summary>
    Consistency = 1,

    /// <summary>Z.</summary>
    RedZones = 2,

    /// <summary>P.</summary>
    Poison = 4,

    /// <summary>U.</summary>
    Users = 8,

    /// <summary>T: each allocation and free is told to the face.</summary>
    Trace = 16,

    /// <summary>A: allocations fail as the cache's plan says.</summary>
    Faults = 32,

    /// <summary>No letter: of the objects that a profile knows. See <c>Sampling.cs</c>.</summary>
    Sampled = 64,

    /// <summary>No letter: of objects on guarded pages. See <c>GuardPool.cs</c>.</summary>
    Guarded = 128,

    /// <summary>G: each allocation is on guarded pages, as long as there are some.</summary>
    Guard = 256,
}

/// <summary>
/// What an object's track says of its state, mixed with the object's address and the rest of the track, so that no stray value passes: a track that was written over has no state.
/// </summary>
internal enum TrackState : uint
{
    /// <summary>In its slab or waiting to go there.</summary>
    Free = 0x66726565,

    /// <summary>In somebody's hands.</summary>
    Live = 0x6C697665,

    /// <summary>Somebody is just allocating, resizing or freeing it: the only state in which the rest of the track may change.</summary>
    Leaving = 0x6C656176,

    /// <summary>Damaged: it is never used again.</summary>
    SetAside = 0x64616D67,
}

/// <summary>What is known of one object. The first 16 bytes are there with Z, all with U.</summary>
internal struct ObjectTrack
{
    public const uint BytesWithZones = 16;
    public const uint BytesWithUsers = 40;

    /// <summary>A <see cref="TrackState"/>, mixed.</summary>
    public uint State;

    public uint RequestedBytes;

    /// <summary>
    /// Free: the object that was freed next. Live: the scope in which it was allocated, or 0; of a sampled one its number. Changes in any state, and is no part of the mix.
    /// </summary>
    public nuint NextOrScope;

    /// <summary>Numbers that the face gave for stacks; 0 for none.</summary>
    public uint AllocStack;

    public uint AllocThread;

    /// <summary>By the face's coarse clock.</summary>
    public uint AllocMilliseconds;

    /// <summary>Of a sampled object: the epoch that it was taken in.</summary>
    public uint FreeStack;

    /// <summary>0: not since the last allocation.</summary>
    public uint FreeThread;
    public uint FreeMilliseconds;
}

/// <summary>The geometry of a checked slab: a pure function of the unchecked one and the letters.</summary>
internal struct CheckedLayout
{
    private const uint ZoneBytesLeast = 8;

    /// <summary>Of the slabs, with the longer stride.</summary>
    public SlabLayout Slab;

    /// <summary>Letters that the layout has room for.</summary>
    public CacheChecks Checks;

    /// <summary>Bytes of an object that its user may have at most.</summary>
    public uint CapacityBytes;

    /// <summary>From the object's start; where the right zone ends. Equal to the capacity without zones and track.</summary>
    public uint TrackOffset;

    public uint TrackBytes;

    /// <summary>Bytes before the object's start that belong to its left zone.</summary>
    public uint LeftZoneBytes;

    public readonly bool HasTrack => TrackBytes != 0;

    /// <summary>
    /// <paramref name="capacityBytes"/> is what callers may use of an unchecked object. An object too large for zones and track in a block of the largest order goes without.
    /// </summary>
    public static CheckedLayout Compute(SlabLayout plain, uint capacityBytes, CacheChecks checks, SlabRule rule, int cpuCount)
    {
        CheckedLayout layout = new() { Slab = plain, Checks = checks, CapacityBytes = capacityBytes, TrackOffset = capacityBytes };
        bool hasZones = (checks & CacheChecks.RedZones) != 0;
        if ((checks & (CacheChecks.RedZones | CacheChecks.Users | CacheChecks.Sampled)) == 0)
        {
            return layout;
        }

        uint alignment = NaturalAlignment(plain);
        uint trackOffset = (uint)Address.AlignUp(capacityBytes, 8) + (hasZones ? ZoneBytesLeast : 0);
        uint trackBytes = (checks & (CacheChecks.Users | CacheChecks.Sampled)) != 0 ? ObjectTrack.BytesWithUsers : ObjectTrack.BytesWithZones;
        uint end = trackOffset + trackBytes;
        uint stride = (uint)Address.AlignUp(end + (hasZones ? ZoneBytesLeast : 0), alignment);
        uint leftZone = hasZones ? stride - end : 0;
        uint lead = (uint)Address.AlignUp(leftZone, alignment);
        if (!SlabLayout.TryComputeLed(capacityBytes, stride, lead, alignment, rule, cpuCount, out SlabLayout led))
        {
            layout.Checks &= ~(CacheChecks.RedZones | CacheChecks.Users | CacheChecks.Sampled);
            return layout;
        }

        led.ObjectSizeBytes = plain.ObjectSizeBytes;
        layout.Slab = led;
        layout.TrackOffset = trackOffset;
        layout.TrackBytes = trackBytes;
        layout.LeftZoneBytes = leftZone;
        return layout;
    }

    /// <summary>What all objects of an unchecked slab are aligned to, whether it was asked for or not: callers count on it.</summary>
    public static uint NaturalAlignment(SlabLayout plain)
    {
        uint natural = plain.StrideBytes & (~plain.StrideBytes + 1);
        natural = natural < (uint)Address.PageSizeBytes ? natural : (uint)Address.PageSizeBytes;
        return natural > plain.AlignmentBytes ? natural : plain.AlignmentBytes;
    }
}
