namespace Kmem.Engine.Primitives;

/// <summary>
/// The emitter for x64 (System V calling convention: arguments in rdi, rsi, rdx, rcx; result in rax). Each stub is laid out as
/// <code>
///   descriptor  (32 bytes: version and flags 0, start, length, abort)
///   entry:      lea rax, [descriptor] ; mov fs:[rseq_cs], rax
///   start:      … ; mov [slot], word            the last instruction of the sequence is the only store that counts
///   end:        … ; ret
///   signature   (an undefined instruction that carries glibc's number)
///   abort:      jmp entry
/// </code>
/// An abort may happen at any instruction between start and end, so the arguments' registers are never written there.
/// </summary>
internal static unsafe partial class RestartableSequence
{
    /// <summary>Room that <see cref="Emit"/> needs.</summary>
    public const nuint CodeSizeBytes = 4096;

    /// <summary>The signature that glibc registers on x86: the kernel refuses to abort to an address that it does not precede.</summary>
    private const uint Signature = 0x53053053;

    private const int RoundsOffset = 16;

    /// <summary>Writes all stubs to <paramref name="code"/>, which the caller makes executable afterwards.</summary>
    public static void Emit(byte* code, RestartableArea area, RestartableStubs* stubs)
    {
        Code at = new() { Next = code, Area = area };

        stubs->Pop = EmitPop(&at);
        stubs->Push = EmitPush(&at);
        stubs->Exchange = EmitExchange(&at);
        stubs->PopBulk = EmitPopBulk(&at);
        stubs->PushBulk = EmitPushBulk(&at);
        stubs->CurrentCpu = EmitCurrentCpu(&at);
        stubs->Abandon = EmitAbandon(&at, area);
        stubs->FramePointer = EmitFramePointer(&at);
        Invariant.Check((nuint)(at.Next - code) <= CodeSizeBytes);
    }

    private static nint EmitPop(Code* at)
    {
        Sequence sequence = Begin(at);
        EmitSlotOfCpu(at, &sequence);           // rax = slot of this CPU, or to slow
        at->Put(0x08_8B_48, 3);                 // mov   rcx, [rax]
        at->Put(0xD1_B7_0F, 3);                 // movzx edx, cx               rounds
        at->Put(0xD2_85, 2);                    // test  edx, edx
        EmitJumpToSlow(at, &sequence, 0x84);    // je    slow
        at->Put(0xCE_89_48, 3);                 // mov   rsi, rcx
        at->Put(0x10_EE_C1_48, 4);              // shr   rsi, 16               magazine
        at->Put(0xC9_FF_48, 3);                 // dec   rcx
        at->Put(0xD6_54_8B_48, 4);              // mov   rdx, [rsi + rdx*8 + 8]
        at->Put(RoundsOffset - 8, 1);
        at->Put(0x08_89_48, 3);                 // mov   [rax], rcx            commit
        MarkEnd(at, &sequence);
        at->Put(0xD0_89_48, 3);                 // mov   rax, rdx
        at->Put(0xC3, 1);                       // ret
        return Finish(at, &sequence);
    }

    private static nint EmitPush(Code* at)
    {
        Sequence sequence = Begin(at);
        EmitSlotOfCpu(at, &sequence);
        at->Put(0x08_8B_48, 3);                 // mov   rcx, [rax]
        at->Put(0xCA_89_48, 3);                 // mov   rdx, rcx
        at->Put(0x10_EA_C1_48, 4);              // shr   rdx, 16               magazine
        EmitJumpToSlow(at, &sequence, 0x84);    // je    slow                  none
        at->Put(0xC1_B7_0F_44, 4);              // movzx r8d, cx               rounds
        at->Put(0x02_3B_44_66, 4);              // cmp   r8w, [rdx]            capacity
        EmitJumpToSlow(at, &sequence, 0x83);    // jae   slow                  full
        at->Put(0xC2_74_3B_4A, 4);              // cmp   rsi, [rdx + r8*8 + 8] the top round itself:
        at->Put(RoundsOffset - 8, 1);
        EmitJumpToSlow(at, &sequence, 0x84);    // je    slow                  freed twice
        at->Put(0xC2_74_89_4A, 4);              // mov   [rdx + r8*8 + 16], rsi
        at->Put(RoundsOffset, 1);
        at->Put(0xC1_FF_48, 3);                 // inc   rcx
        at->Put(0x08_89_48, 3);                 // mov   [rax], rcx            commit
        MarkEnd(at, &sequence);
        EmitReturnOne(at);
        return Finish(at, &sequence);
    }

    private static nint EmitExchange(Code* at)
    {
        Sequence sequence = Begin(at);
        EmitLoadCpu(at);
        at->Put(0xF0_39, 2);                    // cmp   eax, esi              expected CPU
        EmitJumpToSlow(at, &sequence, 0x85);    // jne   slow
        EmitAreaOfCpu(at);
        at->Put(0x10_3B_48, 3);                 // cmp   rdx, [rax]            expected word
        EmitJumpToSlow(at, &sequence, 0x85);    // jne   slow
        at->Put(0x08_89_48, 3);                 // mov   [rax], rcx            commit
        MarkEnd(at, &sequence);
        EmitReturnOne(at);
        return Finish(at, &sequence);
    }

    private static nint EmitPopBulk(Code* at)
    {
        Sequence sequence = Begin(at);
        EmitSlotOfCpu(at, &sequence);
        at->Put(0x08_8B_48, 3);                 // mov   rcx, [rax]
        at->Put(0xC1_B7_0F_44, 4);              // movzx r8d, cx               rounds
        at->Put(0xD1_89_41, 3);                 // mov   r9d, edx
        at->Put(0xC1_39_45, 3);                 // cmp   r9d, r8d
        at->Put(0xC8_47_0F_45, 4);              // cmova r9d, r8d              n = min(count, rounds)
        at->Put(0xC9_85_45, 3);                 // test  r9d, r9d
        EmitJumpToSlow(at, &sequence, 0x84);    // je    slow
        at->Put(0xCA_89_49, 3);                 // mov   r10, rcx
        at->Put(0x10_EA_C1_49, 4);              // shr   r10, 16               magazine
        at->Put(0xC8_29_4D, 3);                 // sub   r8, r9
        at->Put(0xC2_54_8D_4F, 4);              // lea   r10, [r10 + r8*8 + 16]
        at->Put(RoundsOffset, 1);
        at->Put(0xC9_29_4C, 3);                 // sub   rcx, r9
        at->Put(0xDB_31_45, 3);                 // xor   r11d, r11d
        byte* loop = at->Next;
        at->Put(0xDA_04_8B_4F, 4);              // mov   r8, [r10 + r11*8]
        at->Put(0xDE_04_89_4E, 4);              // mov   [rsi + r11*8], r8
        EmitLoopEnd(at, loop);
        at->Put(0x08_89_48, 3);                 // mov   [rax], rcx            commit
        MarkEnd(at, &sequence);
        at->Put(0xC8_89_44, 3);                 // mov   eax, r9d
        at->Put(0xC3, 1);                       // ret
        return Finish(at, &sequence);
    }

    private static nint EmitPushBulk(Code* at)
    {
        Sequence sequence = Begin(at);
        EmitSlotOfCpu(at, &sequence);
        at->Put(0x08_8B_48, 3);                 // mov   rcx, [rax]
        at->Put(0xCA_89_49, 3);                 // mov   r10, rcx
        at->Put(0x10_EA_C1_49, 4);              // shr   r10, 16               magazine
        EmitJumpToSlow(at, &sequence, 0x84);    // je    slow                  none
        at->Put(0xC1_B7_0F_44, 4);              // movzx r8d, cx               rounds
        at->Put(0x0A_B7_0F_45, 4);              // movzx r9d, word [r10]       capacity
        at->Put(0xC1_29_45, 3);                 // sub   r9d, r8d              room
        at->Put(0xD1_39_41, 3);                 // cmp   r9d, edx
        at->Put(0xCA_47_0F_44, 4);              // cmova r9d, edx              n = min(count, room)
        at->Put(0xC9_85_45, 3);                 // test  r9d, r9d
        EmitJumpToSlow(at, &sequence, 0x84);    // je    slow
        at->Put(0xC2_54_8D_4F, 4);              // lea   r10, [r10 + r8*8 + 16]
        at->Put(RoundsOffset, 1);
        at->Put(0xC9_01_4C, 3);                 // add   rcx, r9
        at->Put(0xDB_31_45, 3);                 // xor   r11d, r11d
        byte* loop = at->Next;
        at->Put(0xDE_04_8B_4E, 4);              // mov   r8, [rsi + r11*8]
        at->Put(0xDA_04_89_4F, 4);              // mov   [r10 + r11*8], r8
        EmitLoopEnd(at, loop);
        at->Put(0x08_89_48, 3);                 // mov   [rax], rcx            commit
        MarkEnd(at, &sequence);
        at->Put(0xC8_89_44, 3);                 // mov   eax, r9d
        at->Put(0xC3, 1);                       // ret
        return Finish(at, &sequence);
    }

    private static nint EmitCurrentCpu(Code* at)
    {
        at->Align(16);
        byte* entry = at->Next;
        EmitLoadCpu(at);
        at->Put(0xC3, 1);                       // ret
        return (nint)entry;
    }

    private static void EmitLoadCpu(Code* at)
    {
        at->Put(0x25_04_8B_64, 4);              // mov   eax, fs:[mm_cid]
        at->Put((uint)at->Area.CpuOffset, 4);
    }

    private static void EmitAreaOfCpu(Code* at)
    {
        at->Put(0xE0_C1_48, 3);                 // shl   rax, CpuAreaShift
        at->Put(CpuAreaShift, 1);
        at->Put(0xF8_01_48, 3);                 // add   rax, rdi
    }

    private static void EmitSlotOfCpu(Code* at, Sequence* sequence)
    {
        EmitLoadCpu(at);
        at->Put(0x3D, 1);                       // cmp   eax, count of CPUs
        at->Put((uint)at->Area.CpuCount, 4);
        EmitJumpToSlow(at, sequence, 0x83);     // jae   slow                  also when negative
        EmitAreaOfCpu(at);
    }

    private static void EmitLoopEnd(Code* at, byte* loop)
    {
        at->Put(0xC3_FF_49, 3);                 // inc   r11
        at->Put(0xCB_39_4D, 3);                 // cmp   r11, r9
        at->Put(0x72, 1);                       // jb    loop
        at->Put((byte)(loop - (at->Next + 1)), 1);
    }

    private static void EmitReturnOne(Code* at)
    {
        at->Put(0xB8, 1);                       // mov   eax, 1
        at->Put(1, 4);
        at->Put(0xC3, 1);                       // ret
    }

    /// <summary>A conditional jump to the end that returns 0; <paramref name="condition"/> is the second byte of the near form.</summary>
    private static void EmitJumpToSlow(Code* at, Sequence* sequence, byte condition)
    {
        at->Put(0x0F, 1);
        at->Put(condition, 1);
        sequence->Jumps[sequence->JumpCount++] = (ulong)at->Next;
        at->Put(0, 4);
    }

    private static Sequence Begin(Code* at)
    {
        at->Align(32);
        Sequence sequence = new() { Descriptor = (ulong*)at->Next };
        at->Next += 32;
        sequence.Entry = at->Next;
        at->Put(0x05_8D_48, 3);                 // lea   rax, [descriptor]
        at->Put((uint)((byte*)sequence.Descriptor - (at->Next + 4)), 4);
        at->Put(0x04_89_48_64, 4);              // mov   fs:[rseq_cs], rax
        at->Put(0x25, 1);
        at->Put((uint)at->Area.DescriptorOffset, 4);
        sequence.Start = at->Next;
        return sequence;
    }

    /// <summary>The instruction before is the committing store: from here on the sequence is done.</summary>
    private static void MarkEnd(Code* at, Sequence* sequence) => sequence->End = at->Next;

    private static nint Finish(Code* at, Sequence* sequence)
    {
        for (int jump = 0; jump < sequence->JumpCount; jump++)
        {
            byte* from = (byte*)sequence->Jumps[jump];
            *(int*)from = (int)(at->Next - (from + 4));
        }

        at->Put(0xC0_31, 2);                    // slow: xor eax, eax
        at->Put(0xC3, 1);                       // ret
        at->Put(0x3D_B9_0F, 3);                 // ud1   …                     the signature is its operand
        at->Put(Signature, 4);
        byte* abort = at->Next;
        at->Put(0xE9, 1);                       // jmp   entry
        at->Put((uint)(sequence->Entry - (at->Next + 4)), 4);

        sequence->Descriptor[0] = 0;
        sequence->Descriptor[1] = (ulong)sequence->Start;
        sequence->Descriptor[2] = (ulong)(sequence->End - sequence->Start);
        sequence->Descriptor[3] = (ulong)abort;
        return (nint)sequence->Entry;
    }
}
