using Kmem.Engine.Primitives;

namespace Kmem.Engine.Slabs;

/// <summary>Where an object was damaged.</summary>
internal enum DamageKind
{
    None,

    /// <summary>Written before the start.</summary>
    LeftZone,

    /// <summary>Written past the requested bytes.</summary>
    RightZone,

    /// <summary>Written after the free.</summary>
    AfterFree,

    /// <summary>The track makes no sense.</summary>
    Track,

    /// <summary>The bits or descriptors of the slab do not agree.</summary>
    Slab,
}

/// <summary>What a check found: the first bad byte and how far the damage goes.</summary>
internal struct Damage
{
    public DamageKind Kind;
    public nuint Object;

    /// <summary>Of the first byte that is not as it was left.</summary>
    public nuint Address;

    /// <summary>From the first bad byte to the last, both counted.</summary>
    public nuint Bytes;

    public byte Found;
    public byte Expected;

    /// <summary>Where the slab starts, if it goes back to the pages and they do not tell any more; else 0.</summary>
    public nuint ReleasedSlab;
}

/// <summary>The bytes around the first bad one, for a report of what is made whole before anybody can be told.</summary>
internal unsafe struct DamagedBytes
{
    public const int BytesMax = 96;

    /// <summary>Address of the first one.</summary>
    public nuint Start;

    public nuint Count;
    public fixed byte Bytes[BytesMax];
}

/// <summary>Filling and checking what lies around an object and, while it is free, in it. See the theory in <c>CheckedLayout.cs</c>.</summary>
/// <remarks>The values are those of the kernel's include/linux/poison.h, so that they are known in a dump.</remarks>
internal static unsafe class CheckedObject
{
    public const byte ZoneOfFree = 0xBB;
    public const byte ZoneOfLive = 0xCC;
    public const byte Poison = 0x6B;
    public const byte PoisonEnd = 0xA5;

    public static ObjectTrack* TrackOf(CheckedLayout* layout, nuint address) => (ObjectTrack*)(address + layout->TrackOffset);

    private static uint Mixed(CheckedLayout* layout, nuint address, TrackState state) =>
        (uint)state ^ (uint)(address >> 3) ^ (state == TrackState.Leaving ? 0 : MixOfTrack(layout, address));

    /// <summary>A change of any byte but those of the state and of <see cref="ObjectTrack.NextOrScope"/> changes it.</summary>
    private static uint MixOfTrack(CheckedLayout* layout, nuint address)
    {
        const ulong Odd = 0x9E3779B97F4A7C15;
        ObjectTrack* track = TrackOf(layout, address);
        ulong mix = track->RequestedBytes * Odd;
        if (layout->TrackBytes == ObjectTrack.BytesWithUsers)
        {
            ulong* users = (ulong*)&track->AllocStack;
            mix = (mix ^ users[0]) * Odd;
            mix = (mix ^ users[1]) * Odd;
            mix = (mix ^ users[2]) * Odd;
        }

        return (uint)(mix >> 32);
    }

    /// <summary>None of the states: the track was written over.</summary>
    public static TrackState StateOf(CheckedLayout* layout, nuint address)
    {
        uint* word = &TrackOf(layout, address)->State;
        while (true)
        {
            uint stored = Atomic.Load(word);
            uint state = stored ^ (uint)(address >> 3);
            uint mix = state == (uint)TrackState.Leaving ? 0 : MixOfTrack(layout, address);
            if (Atomic.Load(word) == stored)
            {
                return (TrackState)(state ^ mix);
            }

            // Somebody has just allocated or freed it.
        }
    }

    public static bool IsState(TrackState state) => state is TrackState.Free or TrackState.Live or TrackState.Leaving or TrackState.SetAside;

    public static void SetState(CheckedLayout* layout, nuint address, TrackState state) =>
        Atomic.Store(&TrackOf(layout, address)->State, Mixed(layout, address, state));

    /// <summary>False: it was in another state, or somebody was faster.</summary>
    public static bool TryChangeState(CheckedLayout* layout, nuint address, TrackState from, TrackState to) =>
        Atomic.CompareExchange(&TrackOf(layout, address)->State, Mixed(layout, address, from), Mixed(layout, address, to));

    /// <summary>All objects of a fresh slab become free ones.</summary>
    public static void PrepareSlab(CheckedLayout* layout, nuint slabAddress)
    {
        nuint address = slabAddress + layout->Slab.LeadBytes;
        for (uint index = 0; index < layout->Slab.Objects; index++, address += layout->Slab.StrideBytes)
        {
            MakeFree(layout, address);
            if (layout->HasTrack)
            {
                Memory.Clear((byte*)address + layout->TrackOffset, layout->TrackBytes);
                SetState(layout, address, TrackState.Free);
            }
        }
    }

    /// <summary>Zones and poison of a free object. The track stays as it is.</summary>
    public static void MakeFree(CheckedLayout* layout, nuint address)
    {
        if ((layout->Checks & CacheChecks.Poison) != 0)
        {
            Memory.Fill((byte*)address, layout->CapacityBytes - 1, Poison);
            *((byte*)address + layout->CapacityBytes - 1) = PoisonEnd;
        }

        FillZones(layout, address, layout->CapacityBytes, ZoneOfFree);
    }

    /// <summary>Zones of an object that is leaving into somebody's hands. The bytes stay poisoned: who reads what he did not write sees it.</summary>
    public static void MakeLive(CheckedLayout* layout, nuint address, nuint requestedBytes)
    {
        if (layout->HasTrack)
        {
            TrackOf(layout, address)->RequestedBytes = (uint)requestedBytes;
        }

        FillZones(layout, address, requestedBytes, ZoneOfLive);
    }

    /// <summary>Zones of a live object, and a track that makes sense.</summary>
    public static void RepairLive(CheckedLayout* layout, nuint address)
    {
        ObjectTrack* track = TrackOf(layout, address);
        track->RequestedBytes = track->RequestedBytes <= layout->CapacityBytes ? track->RequestedBytes : layout->CapacityBytes;
        SetState(layout, address, TrackState.Live);
        FillZones(layout, address, track->RequestedBytes, ZoneOfLive);
    }

    private static void FillZones(CheckedLayout* layout, nuint address, nuint requestedBytes, byte value)
    {
        if (layout->LeftZoneBytes != 0)
        {
            Memory.Fill((byte*)address - layout->LeftZoneBytes, layout->LeftZoneBytes, value);
            Memory.Fill((byte*)address + requestedBytes, layout->TrackOffset - requestedBytes, value);
        }
    }

    /// <summary>False, and what is wrong, if a free object is not as it was left.</summary>
    public static bool IsFreeObjectWhole(CheckedLayout* layout, nuint address, Damage* damage)
    {
        if (layout->HasTrack && StateOf(layout, address) != TrackState.Free)
        {
            return TellOfTrack(layout, address, damage);
        }

        return AreZonesWhole(layout, address, layout->CapacityBytes, ZoneOfFree, damage)
            && ((layout->Checks & CacheChecks.Poison) == 0 || IsPoisonWhole(layout, address, damage));
    }

    /// <summary>False, and what is wrong, if somebody wrote around an object that is in somebody's hands.</summary>
    public static bool IsLiveObjectWhole(CheckedLayout* layout, nuint address, Damage* damage)
    {
        nuint requested = layout->CapacityBytes;
        if (layout->HasTrack)
        {
            requested = TrackOf(layout, address)->RequestedBytes;
            if (requested > layout->CapacityBytes || !IsState(StateOf(layout, address)))
            {
                return TellOfTrack(layout, address, damage);
            }
        }

        return AreZonesWhole(layout, address, requested, ZoneOfLive, damage);
    }

    private static bool AreZonesWhole(CheckedLayout* layout, nuint address, nuint requestedBytes, byte value, Damage* damage) =>
        layout->LeftZoneBytes == 0
        || (Is(address - layout->LeftZoneBytes, layout->LeftZoneBytes, value, DamageKind.LeftZone, address, damage)
            && Is(address + requestedBytes, layout->TrackOffset - requestedBytes, value, DamageKind.RightZone, address, damage));

    private static bool IsPoisonWhole(CheckedLayout* layout, nuint address, Damage* damage)
    {
        nuint last = address + layout->CapacityBytes - 1;
        if (!Is(address, layout->CapacityBytes - 1, Poison, DamageKind.AfterFree, address, damage))
        {
            damage->Bytes = *(byte*)last != PoisonEnd ? last + 1 - damage->Address : damage->Bytes;
            return false;
        }

        return *(byte*)last == PoisonEnd || Tell(damage, DamageKind.AfterFree, address, last, 1, *(byte*)last, PoisonEnd);
    }

    /// <summary>Whether all bytes have one value; else where the first and the last do not.</summary>
    public static bool Is(nuint start, nuint bytes, byte value, DamageKind kind, nuint address, Damage* damage)
    {
        nuint at = Memory.FindOther((byte*)start, bytes, value);
        if (at == bytes)
        {
            return true;
        }

        nuint last = bytes - 1;
        while (*((byte*)start + last) == value)
        {
            last--;
        }

        return Tell(damage, kind, address, start + at, last + 1 - at, *((byte*)start + at), value);
    }

    /// <summary>Keeps what belongs to the damaged object, from two rows of 16 before the first bad byte on.</summary>
    public static void Keep(CheckedLayout* layout, Damage* damage, DamagedBytes* kept) =>
        Keep(damage->Object - layout->LeftZoneBytes, damage->Object + layout->TrackOffset + layout->TrackBytes, damage, kept);

    /// <summary>The same within bounds.</summary>
    public static void Keep(nuint from, nuint to, Damage* damage, DamagedBytes* kept)
    {
        nuint start = damage->Address - (damage->Address % 16) - 32;
        kept->Start = start > from ? start : from;
        kept->Count = to - kept->Start < DamagedBytes.BytesMax ? to - kept->Start : DamagedBytes.BytesMax;
        Memory.Copy(kept->Bytes, (void*)kept->Start, kept->Count);
    }

    /// <summary>Which byte of it was written over cannot be told.</summary>
    public static bool TellOfTrack(CheckedLayout* layout, nuint address, Damage* damage) =>
        Tell(damage, DamageKind.Track, address, (nuint)TrackOf(layout, address), layout->TrackBytes, 0, 0);

    private static bool Tell(Damage* damage, DamageKind kind, nuint address, nuint bad, nuint bytes, byte found, byte expected)
    {
        damage->Kind = kind;
        damage->Object = address;
        damage->Address = bad;
        damage->Bytes = bytes;
        damage->Found = found;
        damage->Expected = expected;
        return false;
    }
}
