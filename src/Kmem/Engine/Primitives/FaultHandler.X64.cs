namespace Kmem.Engine.Primitives;

/// <summary>
/// The emitter of the handler for x64 Linux: (signal in edi, siginfo in rsi, ucontext in rdx). See the theory in <c>FaultDirectory.cs</c>.
/// </summary>
/// <remarks>The kernel restores all registers when the handler before returns: any of them may be used here but those of the arguments and the stack pointer.</remarks>
internal static unsafe class FaultHandler
{
    /// <summary>Room that <see cref="Emit"/> needs.</summary>
    public const nuint CodeSizeBytes = 4096;

    /// <summary>Where the text of a slot begins.</summary>
    public const int TextOffset = 96;

    /// <summary>Of <c>uc_mcontext.gregs[REG_ERR]</c>: bit 1 says that it was a write.</summary>
    private const uint ErrorCodeOffset = 192;

    private const byte AddressOffset = 16;
    private const uint DigitCount = 12;

    private const byte JumpIfNotEqual = 0x75;
    private const byte JumpIfBelow = 0x72;
    private const byte JumpIfBelowOrEqual = 0x76;
    private const byte JumpAlways = 0xEB;

    /// <summary>Writes the handler to <paramref name="code"/>, which the caller makes executable afterwards.</summary>
    public static void Emit(byte* code, FaultDirectory* directory)
    {
        MachineCode start = new() { Next = code };
        MachineCode* at = &start;
        at->Put(0xBC49, 2);                     // mov   r12, directory
        at->PutAddress((nuint)directory);
        at->Put(0x5E8B48, 3);                   // mov   rbx, [rsi + si_addr]
        at->Put(AddressOffset, 1);
        at->Put(0x244C8B41, 4);                 // mov   ecx, [r12 + count]
        at->Put(FaultDirectory.CountOffset, 1);
        at->Put(0x246C8D4D, 4);                 // lea   r13, [r12 + pools]
        at->Put(FaultDirectory.PoolsOffset, 1);

        byte* nextPool = at->Next;
        at->Put(0xC9FF, 2);                     // dec   ecx
        byte* none = JumpFar(at, 0x88);         // js    chain                no pool has the address
        at->Put(0xDE8949, 3);                   // mov   r14, rbx
        at->Put(0x00752B4D, 4);                 // sub   r14, [r13]           start
        at->Put(0x08753B4D, 4);                 // cmp   r14, [r13 + 8]       bytes
        byte* found = at->Jump(JumpIfBelow);
        at->Put(0x20C58349, 4);                 // add   r13, size of a pool
        at->JumpBack(JumpAlways, nextPool);

        at->Land(found);                        // Which slot, and in ebp 2 × place:
        at->Put(0xF08944, 3);                   // mov   eax, r14d
        at->Put(0x0DE8C1, 3);                   // shr   eax, 13
        at->Put(0xED31, 2);                     // xor   ebp, ebp             after the free
        at->Put(0xC6F741, 3);                   // test  r14d, 4096
        at->Put(4096, 4);
        byte* inSlot = at->Jump(JumpIfNotEqual);
        at->Put(0xBD, 1);                       // mov   ebp, 4               before the start
        at->Put(4, 4);
        at->Put(0xC6F741, 3);                   // test  r14d, 2048
        at->Put(2048, 4);
        byte* before = at->Jump(JumpIfNotEqual);
        at->Put(0xBD, 1);                       // mov   ebp, 2               past the end
        at->Put(2, 4);
        at->Put(0xC8FF, 2);                     // dec   eax
        at->Land(inSlot);
        at->Land(before);
        at->Put(0x18453B41, 4);                 // cmp   eax, [r13 + 24]      slots
        byte* beyond = JumpFar(at, 0x83);       // jae   chain
        at->Put(0x0CE0C148, 4);                 // shl   rax, 12
        at->Put(0x10450349, 4);                 // add   rax, [r13 + 16]      table
        at->Put(0xC78949, 3);                   // mov   r15, rax
        at->Put(0x003F8341, 4);                 // cmp   dword [r15], 0       state
        byte* unused = JumpFar(at, 0x84);       // je    chain

        at->Put(0x525657, 3);                   // push  rdi, rsi, rdx
        at->Put(0x828B, 2);                     // mov   eax, [rdx + error code]
        at->Put(ErrorCodeOffset, 4);
        at->Put(0xE8D1, 2);                     // shr   eax, 1
        at->Put(0x01E083, 3);                   // and   eax, 1
        at->Put(0xC501, 2);                     // add   ebp, eax
        at->Put(0x06E5C1, 3);                   // shl   ebp, 6
        at->Put(0x2CB48D49, 4);                 // lea   rsi, [r12 + rbp + intros]
        at->Put(FaultDirectory.IntrosOffset, 4);
        at->Put(0x16B60F, 3);                   // movzx edx, byte [rsi]
        at->Put(0xC6FF48, 3);                   // inc   rsi
        EmitWrite(at);
        EmitAddress(at);
        at->Put(0x778D49, 3);                   // lea   rsi, [r15 + text]
        at->Put(TextOffset, 1);
        at->Put(0x04578B41, 4);                 // mov   edx, [r15 + 4]       bytes of text
        EmitWrite(at);
        at->Put(0x5F5E5A, 3);                   // pop   rdx, rsi, rdi

        LandFar(at, none);
        LandFar(at, beyond);
        LandFar(at, unused);
        EmitChain(at);
        Invariant.Check((nuint)(at->Next - code) <= CodeSizeBytes);
    }

    /// <summary>Writes rbx as twelve digits.</summary>
    private static void EmitAddress(MachineCode* at)
    {
        at->Put(0x10EC8348, 4);                 // sub   rsp, 16
        at->Put(0xBA, 1);                       // mov   edx, digits
        at->Put(DigitCount, 4);
        byte* nextDigit = at->Next;
        at->Put(0xD889, 2);                     // mov   eax, ebx
        at->Put(0x0FE083, 3);                   // and   eax, 15
        at->Put(0x84B60F41, 4);                 // movzx eax, byte [r12 + rax + digits]
        at->Put(0x04, 1);
        at->Put(FaultDirectory.DigitsOffset, 4);
        at->Put(0xFF144488, 4);                 // mov   [rsp + rdx − 1], al
        at->Put(0x04EBC148, 4);                 // shr   rbx, 4
        at->Put(0xCAFF, 2);                     // dec   edx
        at->JumpBack(JumpIfNotEqual, nextDigit);
        at->Put(0xE68948, 3);                   // mov   rsi, rsp
        at->Put(0xBA, 1);                       // mov   edx, digits
        at->Put(DigitCount, 4);
        EmitWrite(at);
        at->Put(0x10C48348, 4);                 // add   rsp, 16
    }

    /// <summary>write(2, rsi, edx)</summary>
    private static void EmitWrite(MachineCode* at)
    {
        at->Put(0xBF, 1);                       // mov   edi, 2
        at->Put(2, 4);
        at->Put(0xB8, 1);                       // mov   eax, number of write
        at->Put(1, 4);
        at->Put(0x050F, 2);                     // syscall
    }

    /// <summary>To the handler before. Where there was none, the default action is restored, and the access faults once more.</summary>
    private static void EmitChain(MachineCode* at)
    {
        at->Put(0x24048B49, 4);                 // mov   rax, [r12]
        at->Put(0x01F88348, 4);                 // cmp   rax, 1
        byte* none = at->Jump(JumpIfBelowOrEqual);
        at->Put(0xE0FF, 2);                     // jmp   rax
        at->Land(none);
        at->Put(0x24B48D49, 4);                 // lea   rsi, [r12 + default action]
        at->Put(FaultDirectory.DefaultActionOffset, 4);
        at->Put(0xD231, 2);                     // xor   edx, edx
        at->Put(0xBA41, 2);                     // mov   r10d, bytes of a set of signals
        at->Put(8, 4);
        at->Put(0xBF, 1);                       // mov   edi, SIGSEGV
        at->Put(11, 4);
        at->Put(0xB8, 1);                       // mov   eax, number of rt_sigaction
        at->Put(13, 4);
        at->Put(0x050F, 2);                     // syscall
        at->Put(0xC3, 1);                       // ret
    }

    /// <summary>A conditional jump whose target is set by <see cref="LandFar"/>; <paramref name="condition"/> is the second byte of the near form.</summary>
    private static byte* JumpFar(MachineCode* at, byte condition)
    {
        at->Put(0x0F, 1);
        at->Put(condition, 1);
        at->Put(0, 4);
        return at->Next - 4;
    }

    private static void LandFar(MachineCode* at, byte* jump) => *(int*)jump = (int)(at->Next - (jump + 4));
}
