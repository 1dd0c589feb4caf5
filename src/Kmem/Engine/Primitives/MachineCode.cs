namespace Kmem.Engine.Primitives;

/// <summary>Machine code that is being written.</summary>
internal unsafe struct MachineCode
{
    /// <summary>Where the next byte goes.</summary>
    public byte* Next;

    /// <summary>Appends the <paramref name="count"/> low bytes of <paramref name="bytes"/>, lowest first.</summary>
    public void Put(uint bytes, int count)
    {
        for (int index = 0; index < count; index++)
        {
            *Next++ = (byte)(bytes >> (index * 8));
        }
    }

    /// <summary>Appends an address.</summary>
    public void PutAddress(nuint address)
    {
        Put((uint)address, 4);
        Put((uint)(address >> 32), 4);
    }

    /// <summary>A short jump to where <see cref="Land"/> will be called with the result.</summary>
    public byte* Jump(byte opcode)
    {
        Put(opcode, 2);
        return Next - 1;
    }

    /// <summary>A short jump back.</summary>
    public void JumpBack(byte opcode, byte* target)
    {
        Put(opcode, 1);
        Put((byte)(target - (Next + 1)), 1);
    }

    public readonly void Land(byte* jump)
    {
        long distance = Next - (jump + 1);
        Invariant.Check(distance is >= 0 and <= 127);
        *jump = (byte)distance;
    }

    public void Align(nuint alignment)
    {
        while (!Address.IsAligned(Next, alignment))
        {
            *Next++ = 0xCC;
        }
    }
}
