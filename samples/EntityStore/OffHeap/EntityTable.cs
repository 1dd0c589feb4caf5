using Kmem;

namespace EntityStore.OffHeap;

/// <summary>A name for an entity that outlives it: when the entity is gone, the handle leads nowhere, also if its slot has another one. The default leads nowhere.</summary>
internal readonly record struct EntityHandle(int Slot, uint Generation);

/// <summary>
/// Which entity is where. Components lie one after the other in lists, an entity's at the same place in each, without holes: whoever leaves is replaced by the last one. So places change, and slots do not:
/// a slot knows the place, a place its slot.
/// </summary>
internal sealed class EntityTable(KmemHeap heap)
{
    private const int None = -1;

    private readonly NativeList<Slot> _slots = new(heap: heap);
    private readonly NativeList<int> _slotAt = new(heap: heap);
    private int _firstFree = None;

    private struct Slot
    {
        /// <summary>Grows when the entity goes; from 1.</summary>
        public uint Generation;

        /// <summary>Where its components are; of a free slot: the next free one.</summary>
        public int Place;
    }

    public int Count => _slotAt.Count;

    /// <summary>A new entity, at the last place.</summary>
    public EntityHandle Add()
    {
        int slot = _firstFree;
        if (slot == None)
        {
            slot = _slots.Count;
            _slots.Add(new Slot { Generation = 1 });
        }
        else
        {
            _firstFree = _slots[slot].Place;
        }

        _slots[slot].Place = _slotAt.Count;
        _slotAt.Add(slot);
        return new EntityHandle(slot, _slots[slot].Generation);
    }

    /// <summary>Ends the entity at a place. The last one is there then, as in every list of components after <see cref="NativeList{T}.RemoveAtSwapBack"/>.</summary>
    public void RemoveAt(int place)
    {
        int slot = _slotAt[place];
        _slotAt.RemoveAtSwapBack(place);
        if (place < _slotAt.Count)
        {
            _slots[_slotAt[place]].Place = place;
        }

        _slots[slot].Generation++;
        _slots[slot].Place = _firstFree;
        _firstFree = slot;
    }

    public EntityHandle HandleAt(int place) => new(_slotAt[place], _slots[_slotAt[place]].Generation);

    /// <summary>Where an entity is, if it still is.</summary>
    public bool TryFind(EntityHandle handle, out int place)
    {
        bool isThere = (uint)handle.Slot < (uint)_slots.Count && _slots[handle.Slot].Generation == handle.Generation;
        place = isThere ? _slots[handle.Slot].Place : None;
        return isThere;
    }
}
