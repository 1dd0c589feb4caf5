using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Kmem.Tests.Tidy;

/// <summary>
/// The engine compiled in memory as <c>src/Kmem.Native</c> compiles it: against its minimal core library, without a
/// reference to the framework. Other rules ask it what a name stands for.
/// </summary>
public static class NativeCompilation
{
    /// <summary>The same as <c>NoWarn</c> in Kmem.Native.csproj.</summary>
    private static readonly string[] s_silenced = ["CS0169", "CS0649", "CS8500", "CS1701", "CS1702"];

    private static readonly Lazy<CSharpCompilation> s_release = new(() => Create(NativeFiles, debug: false));

    public static CSharpCompilation Release => s_release.Value;

    public static IEnumerable<SourceFile> NativeFiles => Repository.CSharp.Where(
        f => f.IsEngine || f.Path.StartsWith("src/Kmem.Native/", StringComparison.Ordinal));

    public static CSharpCompilation Create(IEnumerable<SourceFile> files, bool debug)
    {
        IEnumerable<SyntaxTree> trees = debug
            ? files.Select(f => CSharpSyntaxTree.ParseText(f.Text, SourceFile.ParseOptions.WithPreprocessorSymbols("DEBUG"), f.Path))
            : files.Select(f => f.Tree);
        return CSharpCompilation.Create(
            "Kmem.Native",
            trees,
            references: [],
            new CSharpCompilationOptions(
                OutputKind.DynamicallyLinkedLibrary,
                allowUnsafe: true,
                nullableContextOptions: NullableContextOptions.Enable,
                generalDiagnosticOption: ReportDiagnostic.Error,
                specificDiagnosticOptions: s_silenced.Select(id => KeyValuePair.Create(id, ReportDiagnostic.Suppress))));
    }

    /// <summary>What the compiler has to say, with the generation of code included.</summary>
    public static IEnumerable<Finding> Compile(CSharpCompilation compilation)
    {
        using System.IO.MemoryStream image = new();
        Microsoft.CodeAnalysis.Emit.EmitResult result =
            compilation.Emit(image, options: new(runtimeMetadataVersion: "v4.0.30319"));
        return result.Diagnostics
            .Where(d => d.Severity == DiagnosticSeverity.Error)
            .Select(d => new Finding(
                d.Location.SourceTree?.FilePath ?? "Kmem.Native",
                d.Location.GetLineSpan().StartLinePosition.Line + 1,
                $"{d.Id}: {d.GetMessage(System.Globalization.CultureInfo.InvariantCulture)}"));
    }

    /// <summary>The native compilation with one file more, for the rules' own tests.</summary>
    public static CSharpCompilation With(SourceFile file) => Release.AddSyntaxTrees(file.Tree);
}
