using System;
using System.IO;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Native.Real;

/// <summary>Python with every object in malloc, on tests of its own library.</summary>
public sealed class PythonTests
{
    public static TheoryData<string> Modules => Settings.Choose<string[]>(
        ["test.test_json", "test.test_pickle.PyPicklerTests", "test.test_threading.ThreadTests"],
        ["test.test_json", "test.test_pickle", "test.test_threading", "test.test_dict", "test.test_bytes", "test.test_re", "test.test_zlib"])
        is { } modules ? [.. modules] : [];

    [Theory]
    [MemberData(nameof(Modules))]
    public void Tests_of_the_standard_library_pass(string module)
    {
        string python = Find();
        using Scene scene = new();
        Outcome outcome = scene.Preloaded(python, "-m", "unittest", module).With("PYTHONMALLOC", "malloc").Run().AssertGood();
        Assert.Contains("\nOK", outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Ran 0 tests", outcome.Error, StringComparison.Ordinal);
        scene.AssertLoadedIn(Path.GetFileName(python));
    }

    [Fact]
    public void A_script_of_strings_and_processes_prints_the_same()
    {
        string python = Find();
        using Scene scene = new();
        scene.Write("script.py", """
            import hashlib, multiprocessing, sys, threading, zlib

            def work(seed):
                rows = {}
                for i in range(int(sys.argv[1])):
                    rows[f"key {(i * seed) % 4096}"] = [str(j) * (j % 5) for j in range(i % 40)]
                return hashlib.sha256(repr(sorted(rows.items())).encode()).hexdigest()

            if __name__ == "__main__":
                results = [None] * 4
                def keep(i):
                    results[i] = work(i + 3)
                threads = [threading.Thread(target=keep, args=(i,)) for i in range(4)]
                for thread in threads: thread.start()
                for thread in threads: thread.join()
                with multiprocessing.get_context("fork").Pool(2) as pool:
                    results += pool.map(work, range(1, 9))
                print(results, zlib.crc32(zlib.compress(b"".join(str(i).encode() for i in range(200000)))))
            """);
        string count = Settings.Choose("10000", "300000");
        string plain = scene.Plain(python, "script.py", count).Run().AssertGood().Output;
        Assert.Equal(plain, scene.Preloaded(python, "script.py", count).With("PYTHONMALLOC", "malloc").Run().AssertGood().Output);
        scene.AssertLoadedIn(Path.GetFileName(python));
    }

    /// <summary>An interpreter itself, not a script in its place that chooses one, and one that has its tests.</summary>
    private static string Find()
    {
        const string Question = "import sys, test.test_json, test.test_pickle, test.test_threading; print(sys.executable)";
        string[] candidates = ["/usr/bin/python3", Tools.Find("python3", "python3")];
        string? found = candidates.Where(File.Exists)
            .Select(candidate => new Command(candidate, "-c", Question).Run())
            .Where(outcome => outcome.ExitCode == 0)
            .Select(outcome => outcome.Output.Trim())
            .FirstOrDefault();
        if (found == null)
        {
            Settings.Missing("a python3 with its tests", "apt-get install libpython3.11-testsuite, or that of the machine's version");
        }

        return found!;
    }
}
