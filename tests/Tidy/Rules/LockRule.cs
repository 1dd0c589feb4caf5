using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Kmem.Tests.Tidy.Rules;

/// <summary>Every acquisition names its rank where it stands, and a file that enters a rank also leaves it.</summary>
public static class LockRule
{
    private const string LockType = "RankedLock";
    private const string RankType = "LockRank";

    public static IEnumerable<Finding> Check(SourceFile file)
    {
        Dictionary<string, InvocationExpressionSyntax> entered = new(StringComparer.Ordinal);
        HashSet<string> left = new(StringComparer.Ordinal);
        foreach (InvocationExpressionSyntax call in file.Root.DescendantNodes().OfType<InvocationExpressionSyntax>())
        {
            if (call.Expression is not MemberAccessExpressionSyntax { Expression: IdentifierNameSyntax { Identifier.ValueText: LockType } } access
                || access.Name.Identifier.ValueText is not ("Enter" or "TryEnter" or "Exit"))
            {
                continue;
            }

            if (call.ArgumentList.Arguments.Count != 2
                || call.ArgumentList.Arguments[1].Expression is not MemberAccessExpressionSyntax { Expression: IdentifierNameSyntax { Identifier.ValueText: RankType } } rank)
            {
                yield return file.At(call, $"Name the rank here: {LockType}.{access.Name}(…, {RankType}.…).");
                continue;
            }

            string name = rank.Name.Identifier.ValueText;
            if (access.Name.Identifier.ValueText == "Exit")
            {
                left.Add(name);
            }
            else
            {
                entered.TryAdd(name, call);
            }
        }

        foreach ((string rank, InvocationExpressionSyntax call) in entered)
        {
            if (!left.Contains(rank))
            {
                yield return file.At(call, $"{RankType}.{rank} is entered and never left in this file.");
            }
        }
    }
}
