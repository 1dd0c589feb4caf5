using Kmem.Engine.Primitives;
using Kmem.Engine.Slabs;

namespace Kmem.Engine.Caches;

/// <summary>What becomes of a damaged object, and of the caller that found it.</summary>
internal enum DamagePolicy
{
    /// <summary>The object is set aside, and the caller is told, as the face does that.</summary>
    Throw,

    /// <summary>The slab is set aside; the caller goes on with another object.</summary>
    SetSlabAside,

    /// <summary>The object is made whole and used.</summary>
    Repair,

    /// <summary>The process ends.</summary>
    FailFast,
}

/// <summary>What becomes of damage that was found in a twin.</summary>
internal unsafe partial struct Cache
{
    /// <summary>Whether a free object that is about to be used is as it was left, or was made so.</summary>
    public static bool IsWholeOrRepaired(Cache* twin, nuint address)
    {
        Damage damage = default;
        if (!CheckedObject.IsFreeObjectWhole(&twin->Checked, address, &damage))
        {
            if (!Repairs(twin, &damage))
            {
                return false;
            }

            CheckedObject.MakeFree(&twin->Checked, address);
        }

        return true;
    }

    /// <summary>F: whether bits, counts and descriptors of the object's slab agree.</summary>
    private static bool IsSlabWhole(Cache* twin, nuint address, Damage* damage)
    {
        if ((twin->Checks & CacheChecks.Consistency) == 0 || SlabLists.IsSlabOfValid(&twin->Slabs, (void*)address))
        {
            return true;
        }

        damage->Kind = DamageKind.Slab;
        damage->Object = address;
        damage->Address = address;
        return false;
    }

    /// <summary>
    /// Tells of damage, after which the object is not used again, unless the face wants it repaired: then true. May not return, where the face throws.
    /// </summary>
    private static bool Repairs(Cache* twin, Damage* damage)
    {
        DamagePolicy policy = Face.PolicyFor(twin);
        if (policy != DamagePolicy.Repair)
        {
            SetAside(twin, damage->Object);
        }

        if (policy == DamagePolicy.SetSlabAside)
        {
            SetSlabAside(twin, damage->Object);
        }

        Face.ReportDamage(twin, damage, policy);
        return policy == DamagePolicy.Repair;
    }

    private static void SetAside(Cache* twin, nuint address)
    {
        if (twin->Checked.HasTrack)
        {
            CheckedObject.SetState(&twin->Checked, address, TrackState.SetAside);
        }

        _ = Atomic.Add(&twin->DamagedObjects, 1);
    }

    /// <summary>No object of the slab is handed out any more. A cache remembers a few such slabs; beyond them it is objects that are set aside.</summary>
    private static void SetSlabAside(Cache* twin, nuint address)
    {
        nuint slab = SlabLists.StartOfSlab(&twin->Slabs, (void*)address);
        for (int index = 0; index < SetAsideSlabsMax; index++)
        {
            ulong* entry = &twin->SetAsideSlabs[index];
            if (*entry == slab || Atomic.CompareExchange(entry, 0, slab))
            {
                _ = Atomic.Add(&twin->DamagedObjects, SlabLists.TakeAllOf(&twin->Slabs, (void*)address));
                return;
            }
        }
    }

    private static bool IsInSetAsideSlab(Cache* twin, nuint address)
    {
        if (twin->SetAsideSlabs[0] == 0)
        {
            return false;
        }

        nuint slab = SlabLists.StartOfSlab(&twin->Slabs, (void*)address);
        for (int index = 0; index < SetAsideSlabsMax; index++)
        {
            if (twin->SetAsideSlabs[index] == slab)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>What is set aside never comes back: a cache may end all the same.</summary>
    public static bool IsEmptyButForDamage(Cache* twin) => Atomic.Load(&twin->LiveGuarded) == 0
        && (twin->Slabs.Slabs * twin->Slabs.Layout.Objects) - twin->Slabs.FreeObjects <= Atomic.Load(&twin->DamagedObjects);
}
