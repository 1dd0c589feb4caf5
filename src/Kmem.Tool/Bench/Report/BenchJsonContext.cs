using System.Text.Json.Serialization;
using Kmem.Tool.Bench.Measuring;

namespace Kmem.Tool.Bench.Report;

/// <summary>What travels between the processes of a bench: compact, on one line.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UseStringEnumConverter = true)]
[JsonSerializable(typeof(MeasurementOrder))]
[JsonSerializable(typeof(Measurement))]
internal sealed partial class BenchJsonContext : JsonSerializerContext;
