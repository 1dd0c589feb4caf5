using System;
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using EntityStore.Managed;
using EntityStore.OffHeap;
using EntityStore.Rules;

namespace EntityStore;

/// <summary>A game's loop over entities that come and go by the thousand, with its entities in Kmem or, to compare, in objects.</summary>
internal static class Program
{
    private static int Main(string[] arguments)
    {
        Option<int> entities = Number("--entities", "Entities that there are at a time; about one in sixty is another one after each frame.", 50_000);
        Option<int> frames = Number("--frames", "Frames, after those to warm up.", 600);
        Option<int> warmUp = Number("--warm-up", "Frames before what is measured.", 120);
        Option<int> every = Number("--every", "Frames between two lines.", 100);
        Option<ulong> seed = new("--seed") { Description = "The same seed comes to the same checksum.", DefaultValueFactory = _ => 1 };
        Option<string> store = new("--store") { Description = "kmem, or managed: a List of objects.", DefaultValueFactory = _ => "kmem" };
        store.AcceptOnlyFromAmong("kmem", "managed");
        RootCommand root = new("A loop over entities that come and go, and what that costs each frame.") { entities, frames, warmUp, every, seed, store };
        root.SetAction(parsed =>
        {
            int cellsPerSide = Physics.CellsPerSideFor(parsed.GetValue(entities));
            using IWorld world = parsed.GetValue(store) == "managed" ? new ManagedWorld(cellsPerSide) : new KmemWorld(cellsPerSide);
            Game game = new(world, parsed.GetValue(entities), cellsPerSide * Physics.CellSide, parsed.GetValue(seed));
            Play(game, parsed.GetValue(warmUp), parsed.GetValue(frames), parsed.GetValue(every));
        });
        return root.Parse(arguments).Invoke();
    }

    private static void Play(Game game, int warmUp, int frames, int every)
    {
        for (int frame = 0; frame < warmUp; frame++)
        {
            game.Step();
        }

        // As a game does when a level was loaded. From here on every collection is the loop's own doing.
        GC.Collect();
        Collections before = Collections.Now();
        FrameTimes times = new(every);
        Console.WriteLine($"{"frame",8} {"entities",9} {"p50 ms",7} {"p99 ms",7} {"max ms",7} {"GC 0/1/2",9} {"GC ms",7}  off heap, MiB");
        for (int frame = 1; frame <= frames; frame++)
        {
            long began = Stopwatch.GetTimestamp();
            game.Step();
            times.Add(began);
            if (frame % every == 0 || frame == frames)
            {
                Print(frame, game.World, times, Collections.Now().Since(before));
            }
        }

        Console.WriteLine();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{game.Spawned:N0} entities were spawned{(Trail.Constructed != 0 ? $", with {Trail.Constructed:N0} trails constructed for them" : "")}"));
        Console.WriteLine($"collections after warm-up: {Collections.Now().Since(before).Counts}");
        Console.WriteLine($"checksum: {game.World.Checksum():x16}");
    }

    private static void Print(int frame, IWorld world, FrameTimes times, Collections collections)
    {
        (double p50, double p99, double longest) = times.Take();
        string offHeap = string.Join(", ", world.OffHeap.Select(static part => string.Create(CultureInfo.InvariantCulture, $"{part.Name} {part.Bytes / 1048576.0:0.0}")));
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{frame,8:N0} {world.Count,9:N0} {p50,7:0.00} {p99,7:0.00} {longest,7:0.00} {collections.Counts,9} {collections.Pauses.TotalMilliseconds,7:0.0}  {(offHeap.Length != 0 ? offHeap : "-")}"));
    }

    private static Option<int> Number(string name, string description, int usual)
    {
        Option<int> option = new(name) { Description = description, DefaultValueFactory = _ => usual };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < 1)
            {
                result.AddError($"{name} is 1 or more.");
            }
        });
        return option;
    }
}
