using System;
using System.Collections.Generic;
using System.Linq;
using Iced.Intel;
using Kmem.Engine;
using Kmem.Engine.Primitives;
using Xunit;

namespace Kmem.Tests.Unit.Primitives;

/// <summary>
/// The emitted machine code, read back by a disassembler: what the kernel asks of a restartable sequence, and golden counts, so that an instruction
/// more on the hot path does not go unseen.
/// </summary>
public sealed unsafe class StubCodeTests
{
    private const uint Signature = 0x53053053;

    public StubCodeTests() => Assert.SkipUnless(FaceStubs.Available, "This machine has no restartable sequences.");

    public enum Stub
    {
        Pop,
        Push,
        Exchange,
        PopBulk,
        PushBulk,
    }

    /// <summary>Instructions from entry to return when all goes well (a bulk operation moves one round), stores before the end, and registers that hold arguments.</summary>
    [Theory]
    [InlineData(Stub.Pop, 18, 1)]
    [InlineData(Stub.Push, 21, 2)]
    [InlineData(Stub.Exchange, 12, 1)]
    [InlineData(Stub.PopBulk, 28, 2)]
    [InlineData(Stub.PushBulk, 29, 2)]
    public void A_stub_has_so_many_instructions_and_stores(Stub stub, int instructions, int stores)
    {
        Sequence sequence = Read(stub);
        Assert.Equal(instructions, sequence.Instructions.Count);
        Assert.Equal(stores, sequence.Body.Count(IsStore));
    }

    [Theory]
    [CombinatorialStubs]
    public void The_last_instruction_of_the_sequence_is_the_only_store_to_the_slot(Stub stub)
    {
        Sequence sequence = Read(stub);
        Instruction last = sequence.Body[^1];
        Assert.True(IsStore(last) && last.Code == Code.Mov_rm64_r64, last.ToString());
        Assert.Equal(Register.RAX, last.MemoryBase);
        Assert.Equal(Register.None, last.MemoryIndex);
        Assert.Equal(0ul, last.MemoryDisplacement64);
        Assert.Single(sequence.Body, each => IsStore(each) && each.MemoryBase == Register.RAX);
        Assert.Equal(last.NextIP, sequence.End);
    }

    [Theory]
    [CombinatorialStubs]
    public void A_sequence_has_no_locked_instruction_and_no_call(Stub stub)
    {
        Sequence sequence = Read(stub);
        Assert.All(sequence.Instructions, each => Assert.False(each.HasLockPrefix, each.ToString()));
        Assert.All(sequence.Body, each => Assert.True(
            each.FlowControl is FlowControl.Next or FlowControl.ConditionalBranch, each.ToString()));
        Assert.DoesNotContain(sequence.Instructions, each => each.Mnemonic is Mnemonic.Xchg or Mnemonic.Cmpxchg or Mnemonic.Xadd or Mnemonic.Mfence);
        Assert.DoesNotContain(sequence.Body, each => each.MemorySegment == Register.FS && IsStore(each));
    }

    /// <summary>An abort restarts at the entry with the registers as they are.</summary>
    [Theory]
    [CombinatorialStubs]
    public void Arguments_are_not_written_before_the_end_and_no_register_of_the_caller_ever(Stub stub)
    {
        Register[] arguments = stub switch
        {
            Stub.Pop => [Register.RDI],
            Stub.Push => [Register.RDI, Register.RSI],
            Stub.Exchange => [Register.RDI, Register.RSI, Register.RDX, Register.RCX],
            _ => [Register.RDI, Register.RSI, Register.RDX],
        };
        Register[] scratch =
        [
            Register.RAX, Register.RCX, Register.RDX, Register.RSI, Register.RDI, Register.R8, Register.R9, Register.R10, Register.R11,
        ];
        InstructionInfoFactory factory = new();
        Sequence sequence = Read(stub);
        foreach (Instruction each in sequence.Instructions)
        {
            foreach (UsedRegister used in factory.GetInfo(each).GetUsedRegisters())
            {
                bool writes = used.Access is not (OpAccess.Read or OpAccess.CondRead or OpAccess.None);
                Register register = used.Register.GetFullRegister();
                if (writes && register.IsGPR() && each.Mnemonic != Mnemonic.Ret)
                {
                    Assert.Contains(register, scratch);
                    Assert.False(each.IP < sequence.End && arguments.Contains(register), each.ToString());
                }
            }
        }
    }

    [Theory]
    [CombinatorialStubs]
    public void The_descriptor_says_where_the_sequence_starts_ends_and_aborts(Stub stub)
    {
        Sequence sequence = Read(stub);
        ulong* descriptor = sequence.Descriptor;
        Assert.True(Address.IsAligned(descriptor, 32));
        Assert.Equal(0ul, descriptor[0]);
        Assert.Equal(sequence.Instructions[2].IP, descriptor[1]);
        Assert.Equal(sequence.End - sequence.Instructions[2].IP, descriptor[2]);

        // The entry names the descriptor in the thread's area, outside of the sequence.
        Instruction address = sequence.Instructions[0];
        Instruction store = sequence.Instructions[1];
        Assert.Equal(Code.Lea_r64_m, address.Code);
        Assert.Equal((ulong)descriptor, address.MemoryDisplacement64);
        Assert.True(store.MemorySegment == Register.FS && store.Op1Register == Register.RAX);
        using EmittedCode code = new(cpuCount: 1, executable: false);
        Assert.Equal(code.Area.DescriptorOffset, (int)store.MemoryDisplacement64);
    }

    [Theory]
    [CombinatorialStubs]
    public void The_abort_handler_is_preceded_by_the_signature_lies_outside_and_jumps_to_the_entry(Stub stub)
    {
        Sequence sequence = Read(stub);
        ulong abort = sequence.Descriptor[3];
        Assert.Equal(Signature, *(uint*)(abort - 4));
        Assert.False(abort - sequence.Descriptor[1] < sequence.Descriptor[2]);
        Decoder decoder = DecoderAt(abort);
        Instruction jump = decoder.Decode();
        Assert.Equal(Code.Jmp_rel32_64, jump.Code);
        Assert.Equal(sequence.Instructions[0].IP, jump.NearBranch64);
    }

    [Theory]
    [CombinatorialStubs]
    public void Every_jump_leads_to_the_slow_end_which_returns_0_or_back_into_the_loop(Stub stub)
    {
        Sequence sequence = Read(stub);
        HashSet<ulong> starts = [.. sequence.Body.Select(each => each.IP)];
        Instruction[] jumps = [.. sequence.Body.Where(each => each.FlowControl == FlowControl.ConditionalBranch)];
        Assert.NotEmpty(jumps);
        foreach (Instruction jump in jumps)
        {
            if (jump.NearBranch64 < jump.IP)
            {
                Assert.True(stub is Stub.PopBulk or Stub.PushBulk);
                Assert.Contains(jump.NearBranch64, starts);
                continue;
            }

            Decoder decoder = DecoderAt(jump.NearBranch64);
            Instruction clear = decoder.Decode();
            Assert.True(clear.Code == Code.Xor_rm32_r32 && clear.Op0Register == Register.EAX && clear.Op1Register == Register.EAX, clear.ToString());
            Assert.Equal(Code.Retnq, decoder.Decode().Code);
        }
    }

    [Fact]
    public void The_CPU_is_read_from_the_threads_area()
    {
        Decoder decoder = DecoderAt((ulong)FaceStubs.CurrentCpu);
        Instruction load = decoder.Decode();
        Assert.True(load.Code is Code.Mov_r32_rm32 or Code.Mov_EAX_moffs32 && load.MemorySegment == Register.FS, load.ToString());
        Assert.Equal(Code.Retnq, decoder.Decode().Code);
        using EmittedCode code = new(cpuCount: 1, executable: false);
        Assert.Contains((int)load.MemoryDisplacement64 - code.Area.DescriptorOffset, new[] { 4 - 8, 24 - 8 });
    }

    private static bool IsStore(Instruction instruction) => instruction.Op0Kind == OpKind.Memory && instruction.Mnemonic == Mnemonic.Mov;

    private static Decoder DecoderAt(ulong address) => Decoder.Create(64, new MemoryReader((byte*)address), address);

    private static Sequence Read(Stub stub)
    {
        nint entry = stub switch
        {
            Stub.Pop => FaceStubs.Pop,
            Stub.Push => FaceStubs.Push,
            Stub.Exchange => FaceStubs.Exchange,
            Stub.PopBulk => FaceStubs.PopBulk,
            _ => FaceStubs.PushBulk,
        };
        ulong* descriptor = (ulong*)(entry - 32);
        Sequence sequence = new() { Descriptor = descriptor, End = descriptor[1] + descriptor[2] };
        Decoder decoder = DecoderAt((ulong)entry);
        Instruction instruction;
        do
        {
            instruction = decoder.Decode();
            Assert.False(instruction.IsInvalid);
            sequence.Instructions.Add(instruction);
            if (instruction.IP >= descriptor[1] && instruction.IP < sequence.End)
            {
                sequence.Body.Add(instruction);
            }
        }
        while (instruction.FlowControl != FlowControl.Return);
        return sequence;
    }

    private sealed class Sequence
    {
        public ulong* Descriptor;

        public ulong End;

        /// <summary>From the entry to the first return.</summary>
        public List<Instruction> Instructions { get; } = [];

        /// <summary>Those that the descriptor covers.</summary>
        public List<Instruction> Body { get; } = [];
    }

    private sealed class MemoryReader(byte* next) : CodeReader
    {
        private byte* _next = next;

        public override int ReadByte() => *_next++;
    }
}

/// <summary>Every stub that is a sequence.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class CombinatorialStubsAttribute : Xunit.v3.DataAttribute
{
    public override System.Threading.Tasks.ValueTask<IReadOnlyCollection<ITheoryDataRow>> GetData(
        System.Reflection.MethodInfo testMethod,
        Xunit.Sdk.DisposalTracker disposalTracker) =>
        new([.. Enum.GetValues<StubCodeTests.Stub>().Select(stub => new TheoryDataRow(stub))]);

    public override bool SupportsDiscoveryEnumeration() => true;
}
