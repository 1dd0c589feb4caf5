using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Kmem.Tests.Tidy.Rules;

/// <summary>A fence that is marked as C# is a program that compiles against Kmem's packages, the framework and ASP.NET Core as they stand.</summary>
public static class SampleRule
{
    private const string FenceStart = "```csharp";
    private const string FenceEnd = "```";

    private static readonly Lazy<IReadOnlyList<MetadataReference>> s_references = new(() =>
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Where(path => Path.GetFileName(path) is "Kmem.dll" or "Kmem.Extensions.dll" or "Kmem.AspNetCore.dll"
                || Path.GetFileName(path).StartsWith("System.", StringComparison.Ordinal)
                || Path.GetFileName(path).StartsWith("Microsoft.AspNetCore", StringComparison.Ordinal)
                || Path.GetFileName(path).StartsWith("Microsoft.Extensions", StringComparison.Ordinal))
            .Select(path => MetadataReference.CreateFromFile(path)),
    ]);

    public static IEnumerable<Finding> Check(SourceFile file)
    {
        foreach ((int line, string text) in Samples(file))
        {
            // The line directive makes the compiler count as the document does.
            SyntaxTree tree = CSharpSyntaxTree.ParseText($"#line {line}\n{text}", SourceFile.ParseOptions, file.Path);
            CSharpCompilation compilation = CSharpCompilation.Create(
                "Sample",
                [tree],
                s_references.Value,
                new CSharpCompilationOptions(OutputKind.ConsoleApplication, allowUnsafe: true, nullableContextOptions: NullableContextOptions.Enable));
            foreach (Diagnostic diagnostic in compilation.GetDiagnostics().Where(d => d.Severity == DiagnosticSeverity.Error))
            {
                yield return new(
                    file.Path,
                    diagnostic.Location.GetMappedLineSpan().StartLinePosition.Line + 1,
                    $"{diagnostic.Id}: {diagnostic.GetMessage(System.Globalization.CultureInfo.InvariantCulture)}");
            }
        }
    }

    private static IEnumerable<(int Line, string Text)> Samples(SourceFile file)
    {
        StringBuilder? sample = null;
        int start = 0;
        foreach ((int number, string line) in file.Lines())
        {
            if (sample == null)
            {
                if (line == FenceStart)
                {
                    sample = new StringBuilder();
                    start = number + 1;
                }
            }
            else if (line == FenceEnd)
            {
                yield return (start, sample.ToString());
                sample = null;
            }
            else
            {
                sample.Append(line).Append('\n');
            }
        }
    }
}
