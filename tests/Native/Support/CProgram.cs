using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using System.Threading;
using Xunit;

namespace Kmem.Tests.Native;

/// <summary>The programs and libraries of the folder Programs, built once when first needed, and their cases.</summary>
internal static partial class CProgram
{
    private const int Skipped = 77;

    // As written: the compiler must not know malloc and so take calls away that it finds useless.
    private static readonly string[] s_options = ["-O1", "-g", "-fno-builtin", "-Wall", "-Wextra", "-Werror", "-pthread"];

    /// <summary>What <c>KMEM_FRONT_END</c> can be.</summary>
    public static IReadOnlyList<string> FrontEnds { get; } = ["rseq", "lock"];

    private static readonly ConcurrentDictionary<string, Lazy<string>> s_built = new();
    private static readonly Lazy<string> s_folder = new(MakeFolder);

    /// <summary>The names of a program's cases, as its source has them: known before anything is built.</summary>
    public static IEnumerable<string> CasesOf(string source) =>
        CaseName().Matches(File.ReadAllText(SourcePath(source))).Select(match => match.Groups[1].Value);

    /// <summary>The path of the program or, with <paramref name="isLibrary"/>, of the shared library.</summary>
    public static string Build(string source, bool isLibrary = false) =>
        s_built.GetOrAdd(source, _ => new Lazy<string>(() => Compile(source, isLibrary), LazyThreadSafetyMode.ExecutionAndPublication)).Value;

    /// <summary>One case with the library in its process, and, after it in the order of preloading, others.</summary>
    public static Command Prepare(string source, string name, string library, params IEnumerable<string> others) => new Command(Build(source), name)
        .In(s_folder.Value)
        .With("LD_PRELOAD", string.Join(':', [library, .. others]))
        .With("KMEM_CASE_LIBRARY", Path.GetFileName(library))
        .With("KMEM_CASE_PLUGIN", Build("plugin.c", isLibrary: true))
        .With("KMEM_CASE_SECONDS", "40");

    /// <summary>Runs one case; it must go as it should.</summary>
    public static void Check(Command command)
    {
        Outcome outcome = command.Run();
        if (outcome.ExitCode == Skipped)
        {
            Assert.Skip(outcome.Error);
        }

        outcome.AssertGood();
    }

    private static string SourcePath(string source) => Path.Combine(AppContext.BaseDirectory, "Programs", source);

    private static string Compile(string source, bool isLibrary)
    {
        bool isCpp = source.EndsWith(".cpp", StringComparison.Ordinal);
        string compiler = isCpp ? Tools.Find("g++", "g++") : Tools.Find("gcc", "gcc libc6-dev");
        string result = Path.Combine(s_folder.Value, isLibrary ? Path.ChangeExtension(source, ".so") : Path.GetFileNameWithoutExtension(source));
        new Command(compiler, [
            isCpp ? "-std=gnu++17" : "-std=gnu17",
            .. s_options,
            .. isLibrary ? ["-shared", "-fPIC"] : Array.Empty<string>(),
            "-o", result, SourcePath(source), "-ldl"]).Run().AssertGood();
        return result;
    }

    private static string MakeFolder()
    {
        string folder = Directory.CreateTempSubdirectory("kmem-programs-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        return folder;
    }

    [GeneratedRegex(@"^(?:CASE|MISTAKE)\((\w+)[,)]", RegexOptions.Multiline)]
    private static partial Regex CaseName();
}
