namespace Kmem.Engine.Primitives;

/// <summary>What the emitter writes with, and the one operation that is no sequence.</summary>
internal static unsafe partial class RestartableSequence
{
    private static nint EmitAbandon(Code* at, RestartableArea area)
    {
        at->Align(16);
        byte* entry = at->Next;
        at->Put(0x97_8D_48, 3);                 // lea   rdx, [rdi + windows]
        at->Put((uint)area.WindowsOffset, 4);
        at->Put(0xB9, 1);                       // mov   ecx, count of windows
        at->Put((uint)area.WindowCount, 4);
        byte* loop = at->Next;
        at->Put(0x02_8B_48, 3);                 // mov   rax, [rdx]
        at->Put(0x00_C7_48, 3);                 // mov   qword [rax], 0
        at->Put(0, 4);
        at->Put(0x08_C2_83_48, 4);              // add   rdx, 8
        at->Put(0xC9_FF, 2);                    // dec   ecx
        at->Put(0x75, 1);                       // jnz   loop
        at->Put((byte)(loop - (at->Next + 1)), 1);
        at->Put(0x47_C7, 2);                    // mov   dword [rdi + state], abandoned
        at->Put((uint)area.AbandonedOffset, 1);
        at->Put((uint)area.AbandonedValue, 4);
        at->Put(0xC3, 1);                       // ret
        return (nint)entry;
    }

    /// <summary>Says what the caller's frame pointer is: where a walk along the frames of its callers starts.</summary>
    private static nint EmitFramePointer(Code* at)
    {
        at->Align(16);
        byte* entry = at->Next;
        at->Put(0xE8_89_48, 3);                 // mov   rax, rbp
        at->Put(0xC3, 1);                       // ret
        return (nint)entry;
    }

    private struct Code
    {
        private MachineCode _code;

        public RestartableArea Area;

        public byte* Next
        {
            readonly get => _code.Next;
            set => _code.Next = value;
        }

        public void Put(uint bytes, int count) => _code.Put(bytes, count);

        public void Align(nuint alignment) => _code.Align(alignment);
    }

    private struct Sequence
    {
        public ulong* Descriptor;
        public byte* Entry;
        public byte* Start;
        public byte* End;
        public int JumpCount;

        /// <summary>Addresses of the displacements of jumps to the slow end.</summary>
        public fixed ulong Jumps[8];
    }
}
