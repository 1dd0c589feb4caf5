using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Native;

/// <summary>
/// A folder for programs that run with and without the library. The dynamic linker keeps a record of each program that is started with it, whoever starts
/// it, so that a test can ask whether the library was there.
/// </summary>
internal sealed class Scene : IDisposable
{
    private readonly string _records;

    public Scene()
    {
        Folder = Directory.CreateTempSubdirectory("kmem-native-").FullName;
        _records = Directory.CreateDirectory(At("records")).FullName;
    }

    public string Folder { get; }

    public string At(params string[] names) => Path.Combine([Folder, .. names]);

    public string Write(string name, string content)
    {
        File.WriteAllText(At(name), content);
        return At(name);
    }

    public Command Plain(string program, params IEnumerable<string> arguments) => new Command(program, arguments).In(Folder);

    public Command Preloaded(string program, params IEnumerable<string> arguments) => Plain(program, arguments)
        .With("LD_PRELOAD", Settings.Library)
        .With("LD_DEBUG", "libs")
        .With("LD_DEBUG_OUTPUT", Path.Combine(_records, "record"));

    /// <summary>Each of these programs ran under <see cref="Preloaded"/>, itself or started by another, and never without the library.</summary>
    public void AssertLoadedIn(params string[] programs)
    {
        List<(string Program, bool Loaded)> runs = [.. Directory.EnumerateFiles(_records).SelectMany(ReadRecord)];
        string all = string.Join(", ", runs.Distinct());
        foreach (string program in programs)
        {
            Assert.True(runs.Any(run => run.Program == program), $"{program} did not run: {all}");
            Assert.True(runs.All(run => run.Program != program || run.Loaded), $"{program} ran without the library: {all}");
        }
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    /// <summary>The programs of one process, one after the other; the linker names the libraries first.</summary>
    private static IEnumerable<(string Program, bool Loaded)> ReadRecord(string path)
    {
        const string Library = "calling init: ", Program = "initialize program: ";
        string wanted = "/" + Path.GetFileName(Settings.Library);
        bool loaded = false;
        foreach (string line in File.ReadLines(path))
        {
            if (line.Contains(Library, StringComparison.Ordinal) && line.EndsWith(wanted, StringComparison.Ordinal))
            {
                loaded = true;
            }

            int at = line.IndexOf(Program, StringComparison.Ordinal);
            if (at >= 0)
            {
                yield return (Path.GetFileName(line[(at + Program.Length)..]), loaded);
                loaded = false;
            }
        }
    }
}
