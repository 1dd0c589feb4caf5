using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Kmem.Tests.Tidy.Rules;

/// <summary>
/// Every acquisition names its rank where it stands, and a type that enters a rank also leaves it. The files of a type
/// are those whose names begin with its name and a dot.
/// </summary>
public static class LockRule
{
    private const string LockType = "RankedLock";
    private const string RankType = "LockRank";

    public static IEnumerable<Finding> Check(IEnumerable<SourceFile> files) =>
        files.GroupBy(f => f.Path.Split('.')[0]).SelectMany(CheckType);

    private static List<Finding> CheckType(IEnumerable<SourceFile> filesOfType)
    {
        List<Finding> findings = [];
        Dictionary<string, (SourceFile File, InvocationExpressionSyntax Call)> entered = new(StringComparer.Ordinal);
        HashSet<string> left = new(StringComparer.Ordinal);
        foreach (SourceFile file in filesOfType)
        {
            foreach (InvocationExpressionSyntax call in file.Root.DescendantNodes().OfType<InvocationExpressionSyntax>())
            {
                if (call.Expression is not MemberAccessExpressionSyntax { Expression: IdentifierNameSyntax { Identifier.ValueText: LockType } } access
                    || access.Name.Identifier.ValueText is not ("Enter" or "EnterSibling" or "TryEnter" or "Exit"))
                {
                    continue;
                }

                if (call.ArgumentList.Arguments.Count != 2
                    || call.ArgumentList.Arguments[1].Expression is not MemberAccessExpressionSyntax { Expression: IdentifierNameSyntax { Identifier.ValueText: RankType } } rank)
                {
                    findings.Add(file.At(call, $"Name the rank here: {LockType}.{access.Name}(…, {RankType}.…)."));
                    continue;
                }

                string name = rank.Name.Identifier.ValueText;
                if (access.Name.Identifier.ValueText == "Exit")
                {
                    left.Add(name);
                }
                else
                {
                    entered.TryAdd(name, (file, call));
                }
            }
        }

        findings.AddRange(entered
            .Where(pair => !left.Contains(pair.Key))
            .Select(pair => pair.Value.File.At(pair.Value.Call, $"{RankType}.{pair.Key} is entered and never left in this type.")));
        return findings;
    }
}
