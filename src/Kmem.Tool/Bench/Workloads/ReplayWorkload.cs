using System.IO;
using Kmem.Tool.Bench.Allocators;
using Kmem.Tool.Hosting;

namespace Kmem.Tool.Bench.Workloads;

/// <summary>
/// What a kernel asked its slab allocator for, or a program its malloc: sizes, lives and bursts as they were. Caches of the kernel are types, and a size is
/// a size; what the trace leaves allocated is freed at the end of each round. That a program wanted zeros or an alignment is left out.
/// </summary>
internal sealed class ReplayWorkload : Workload
{
    /// <summary>In a checkout of the repository, seen from its root.</summary>
    private const string DefaultTrace = "traces/linux-6.18-filesystem.ftrace.gz";

    public override string Name => "replay";

    public override string Summary => "Replays a recorded program, or the slab events of a Linux kernel, in one thread: by size, named caches as types.";

    public override WorkloadThreads Threads => WorkloadThreads.Fixed;

    public override bool StartAllocates => false;

    public override WorkloadRun Start<TAllocator, TBlock>(WorkloadSettings settings)
    {
        string? trace = settings.Trace ?? (File.Exists(DefaultTrace) ? DefaultTrace : null);
        return trace != null
            ? new Replay<TAllocator, TBlock>(ReplayScript.Read(trace))
            : throw new ToolException($"there is no trace to replay: name one with --trace FILE ('{DefaultTrace}' is not here)");
    }

    private sealed class Replay<TAllocator, TBlock> : WorkloadRun
        where TAllocator : struct, IAllocator<TBlock>
        where TBlock : struct, IBlock
    {
        private readonly ReplayScript _script;
        private readonly TBlock[] _slots;

        public Replay(ReplayScript script)
        {
            _script = script;
            _slots = new TBlock[script.Slots];
            TypeDefinitions<TAllocator, TBlock>.DefineOnce(script.TypeSizes);
        }

        /// <summary>Every object is freed in its round: a pair is an allocation of the trace and its free.</summary>
        public override long Operations => _script.Events.Length / 2;

        public override long PeakBytes => _script.PeakBytes;

        public override ulong Round()
        {
            ulong hash = 0;
            ScriptEvent[] events = _script.Events;
            for (int index = 0; index < events.Length; index++)
            {
                ScriptEvent each = events[index];
                ref TBlock slot = ref _slots[each.Slot];
                if (each.Type == ScriptEvent.Realloc)
                {
                    hash += slot.Read();
                    ScriptEvent next = events[++index];
                    slot = TAllocator.Realloc(slot, each.SizeBytes, next.SizeBytes);
                    slot.Write((ulong)next.SizeBytes);
                    continue;
                }

                if (each.SizeBytes != 0)
                {
                    slot = each.Type < 0 ? TAllocator.Alloc(each.SizeBytes) : TAllocator.AllocTyped(each.Type, each.SizeBytes);
                    slot.Write((ulong)each.SizeBytes);
                    continue;
                }

                hash += slot.Read();
                if (each.Type < 0)
                {
                    TAllocator.Free(slot);
                }
                else
                {
                    TAllocator.FreeTyped(each.Type, slot);
                }

                slot = default;
            }

            return hash;
        }
    }
}
