using System.Text.Json.Serialization;
using Kmem.Tool.Bench.Report;
using Kmem.Tool.Layout;
using Kmem.Tool.Leaks;
using Kmem.Tool.Replay;
using Kmem.Tool.Snapshots;

namespace Kmem.Tool.Hosting;

/// <summary>All that the tool reads and writes as JSON: snake case, indented, no reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, UseStringEnumConverter = true)]
[JsonSerializable(typeof(BenchReport))]
[JsonSerializable(typeof(LeaksReport))]
[JsonSerializable(typeof(ReplayReport))]
[JsonSerializable(typeof(LayoutReport))]
[JsonSerializable(typeof(SlabLayoutReport))]
[JsonSerializable(typeof(Snapshot))]
[JsonSerializable(typeof(SnapshotHeader))]
internal sealed partial class ToolJsonContext : JsonSerializerContext;
