using System;
using System.Collections.Generic;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text;
using Xunit;

namespace Kmem.Tests.Unit.Surface;

/// <summary>A profile as text, as collapsed stacks and as profile.proto, read back by a reader of its own.</summary>
public sealed unsafe class ProfileFormatTests
{
    [Fact]
    public void The_pprof_form_says_what_the_profile_says()
    {
        KmemProfile profile = Sample();
        using MemoryStream stream = new();
        profile.WritePprof(stream);
        stream.Position = 0;
        using GZipStream plain = new(stream, CompressionMode.Decompress);
        using MemoryStream bytes = new();
        plain.CopyTo(bytes);
        Proto proto = new(bytes.ToArray());
        string[] strings = [.. proto.All(6).Select(each => Encoding.UTF8.GetString(each))];
        Assert.Equal("", strings[0]);
        Assert.Equal(strings.Length, strings.Distinct().Count());
        Assert.Equal(
            ["inuse_objects count", "inuse_space bytes", "alloc_objects count", "alloc_space bytes"],
            proto.All(1).Select(each => $"{strings[new Proto(each).Number(1)]} {strings[new Proto(each).Number(2)]}"));
        Assert.Equal("inuse_space", strings[proto.Number(14)]);
        Assert.Equal(524288, proto.Number(12));
        Assert.Equal("space bytes", $"{strings[new Proto(proto.All(11).Single()).Number(1)]} {strings[new Proto(proto.All(11).Single()).Number(2)]}");
        Assert.Equal(profile.TakenAt.ToUnixTimeMilliseconds(), proto.Number(9) / 1_000_000);

        Dictionary<long, string> functions = proto.All(5).Select(each => new Proto(each)).ToDictionary(
            each => each.Number(1),
            each => $"{strings[each.Number(2)]} in {strings[each.Number(4)]}");
        Dictionary<long, string> locations = proto.All(4).Select(each => new Proto(each)).ToDictionary(
            each => each.Number(1),
            each => $"{functions[new Proto(each.All(4).Single()).Number(1)]}:{new Proto(each.All(4).Single()).Number(2)}");
        Assert.DoesNotContain(0, functions.Keys);
        Assert.DoesNotContain(0, locations.Keys);
        List<string> samples = [];
        foreach (byte[] each in proto.All(2))
        {
            Proto sample = new(each);
            samples.Add(string.Join(" < ", Proto.Packed(sample.All(1).Single()).Select(id => locations[id])) + " = " + string.Join(",", Proto.Packed(sample.All(2).Single())));
        }

        Assert.Equal(["App.Cache.Add in /src/Cache.cs:12 < App.Program.Main in /src/Program.cs:300 = 100,6400,300,19200", "App.Program.Main in /src/Program.cs:7 < ? in :0 = 0,0,2,5000000000"], samples);
    }

    [Fact]
    public void Collapsed_stacks_go_from_the_outermost_frame_and_end_with_bytes()
    {
        Assert.Equal("App.Program.Main;App.Cache.Add 6400\n", Sample().ToCollapsedStacks());
        Assert.Equal("App.Program.Main;App.Cache.Add 19200\n?;App.Program.Main 5000000000\n", Sample().ToCollapsedStacks(total: true));
    }

    [Fact]
    public void The_table_has_figures_stacks_times_and_tags()
    {
        string table = Sample().ToTable();
        string[] lines = table.Split('\n');
        Assert.Contains("Heap 'sample': 2 sites, 6.3 KiB live; a sample for each 512 KiB", lines);
        Assert.Contains("    6.3 KiB        100      400 B   18.8 KiB        300    3/9     ~2 ms ≤4 ms, ~8 ms ≤17 min", lines);
        Assert.Contains("        at App.Cache.Add in /src/Cache.cs:12", lines);
        Assert.Contains("   96.0 KiB        512    1.0 MiB      9,000   network", lines);
        Assert.Contains("and 1 sites more", Sample().ToTable(1), StringComparison.Ordinal);
    }

    [Fact]
    public void A_profile_of_a_heap_goes_through_all_forms()
    {
        using KmemHeap heap = ProfileTests.MakeHeap(KmemFrontEnd.TryLock, 1024);
        for (int index = 0; index < 10_000; index++)
        {
            _ = ProfileTests.Keep(heap, 64);
        }

        KmemProfile profile = heap.GetProfile();
        Assert.Contains(nameof(ProfileTests.Keep), profile.ToTable(), StringComparison.Ordinal);
        Assert.EndsWith($"ProfileTests.Keep {profile.Sites[0].LiveBytes}", profile.ToCollapsedStacks().Split('\n')[0], StringComparison.Ordinal);
        using MemoryStream stream = new();
        profile.WritePprof(stream);
        Assert.True(stream.CanWrite && stream.Length > 100);
    }

    private static KmemProfile Sample() => new()
    {
        HeapName = "sample",
        IntervalBytes = 512 * 1024,
        TakenAt = DateTimeOffset.UtcNow,
        Sites =
        [
            new KmemProfileSite
            {
                Frames = ["App.Cache.Add in /src/Cache.cs:12", "App.Program.Main in /src/Program.cs:300"],
                Samples = 9,
                LiveSamples = 3,
                LiveObjects = 100,
                LiveBytes = 6400,
                LiveRoundingBytes = 400,
                TotalObjects = 300,
                TotalBytes = 19200,
                Ages = [10, 80, 10],
                Lifetimes = [0, 0, 0, 150, .. new long[16], 50],
            },
            new KmemProfileSite
            {
                Frames = ["App.Program.Main in /src/Program.cs:7", "?"],
                Samples = 2,
                LiveSamples = 0,
                LiveObjects = 0,
                LiveBytes = 0,
                LiveRoundingBytes = 0,
                TotalObjects = 2,
                TotalBytes = 5_000_000_000,
                Ages = [],
                Lifetimes = [2],
            },
        ],
        Tags = [new KmemTagStatistics("network", 512, 96 * 1024, 9000, 1024 * 1024)],
    };

    /// <summary>A message of Protocol Buffers as it is read: written from its description, not from the writer.</summary>
    private sealed class Proto
    {
        private readonly List<(int Field, long Number, byte[]? Bytes)> _fields = [];

        public Proto(byte[] bytes)
        {
            for (int at = 0; at < bytes.Length;)
            {
                long key = Varint(bytes, ref at);
                long value = Varint(bytes, ref at);
                switch (key & 7)
                {
                    case 0:
                        _fields.Add(((int)(key >> 3), value, null));
                        break;
                    case 2:
                        _fields.Add(((int)(key >> 3), 0, bytes[at..(at + (int)value)]));
                        at += (int)value;
                        break;
                    default:
                        throw new InvalidDataException($"wire type {key & 7}");
                }
            }
        }

        public long Number(int field) => _fields.Where(each => each.Field == field).Select(each => each.Number).SingleOrDefault();

        public IEnumerable<byte[]> All(int field) => _fields.Where(each => each.Field == field).Select(each => each.Bytes!);

        public static List<long> Packed(byte[] bytes)
        {
            List<long> values = [];
            for (int at = 0; at < bytes.Length;)
            {
                values.Add(Varint(bytes, ref at));
            }

            return values;
        }

        private static long Varint(byte[] bytes, ref int at)
        {
            long value = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte each = bytes[at++];
                value |= (long)(each & 0x7F) << shift;
                if (each < 0x80)
                {
                    return value;
                }
            }
        }
    }
}
