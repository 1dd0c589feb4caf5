using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Kmem.Tests.Tidy.Rules;

/// <summary>
/// A folder of the engine uses only itself and the folders below it, and the namespace of a file is its folder. What a
/// name stands for is the compiler's answer, so an inferred type or a member of a member counts as well.
/// </summary>
public static class LayeringRule
{
    private const string EngineNamespace = "Kmem.Engine";

    /// <summary>Bottom to top.</summary>
    public static readonly string[] Layers = ["Primitives", "Os", "Checking", "Pages", "Slabs", "Caches", "Sized"];

    public static IEnumerable<Finding> Check(SourceFile file, Compilation compilation)
    {
        int level = Array.IndexOf(Layers, file.Layer);
        if (level < 0)
        {
            yield return new(file.Path, 1, $"The engine has the folders {string.Join(", ", Layers)}, and no file outside of them.");
            yield break;
        }

        foreach (BaseNamespaceDeclarationSyntax declaration in file.Root.DescendantNodes().OfType<BaseNamespaceDeclarationSyntax>())
        {
            string expected = $"{EngineNamespace}.{file.Layer}";
            if (declaration.Name.ToString() != expected)
            {
                yield return file.At(declaration.Name, $"The namespace of this folder is {expected}.");
            }
        }

        foreach (UsingDirectiveSyntax directive in file.Root.DescendantNodes().OfType<UsingDirectiveSyntax>())
        {
            if (directive.Name is { } name && LayerAbove(name.ToString(), level) is { } above)
            {
                yield return file.At(directive, $"{file.Layer} is below {above} and does not use it.");
            }
        }

        SemanticModel model = compilation.GetSemanticModel(file.Tree);
        HashSet<(int Line, string Layer)> seen = [];
        foreach (SimpleNameSyntax name in file.Root.DescendantNodes().OfType<SimpleNameSyntax>())
        {
            if (name.FirstAncestorOrSelf<UsingDirectiveSyntax>() != null || name.FirstAncestorOrSelf<BaseNamespaceDeclarationSyntax>()?.Name.Contains(name) == true)
            {
                continue;
            }

            ISymbol? symbol = model.GetSymbolInfo(name).Symbol;
            INamespaceSymbol? home = symbol as INamespaceSymbol ?? symbol?.ContainingNamespace;
            Finding? finding = home != null && LayerAbove(home.ToDisplayString(), level) is { } above
                ? file.At(name, $"{file.Layer} is below {above} and does not use {symbol!.Name}.")
                : null;
            if (finding != null && seen.Add((finding.Line, finding.Message)))
            {
                yield return finding;
            }
        }
    }

    private static string? LayerAbove(string name, int level)
    {
        if (!name.StartsWith(EngineNamespace + ".", StringComparison.Ordinal))
        {
            return null;
        }

        string layer = name[(EngineNamespace.Length + 1)..].Split('.')[0];
        return Array.IndexOf(Layers, layer) > level ? layer : null;
    }
}
